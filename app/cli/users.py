"""`passbell user`: who may sign in to the console."""

from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import carry_out
from app.cli.output import AsJson, show, table
from app.clock import utc_now
from app.i18n import LANGUAGES
from app.settings import read_settings
from app.staff import users
from app.staff.audit import CLI
from app.staff.models import User
from app.staff.roles import ROLES

user_app = typer.Typer(help="Let people into the console.", no_args_is_help=True)

WhichUser = Annotated[str, typer.Argument(help="The e-mail.")]


@user_app.command("add")
def add(
    email: Annotated[str, typer.Argument(help="By which they sign in.")],
    role: Annotated[str, typer.Option(help=f"One of: {', '.join(ROLES)}.")] = "owner",
    name: Annotated[str, typer.Option(help="What people call them. Default: the e-mail's beginning.")] = "",
    language: Annotated[str, typer.Option(help=f"One of: {', '.join(LANGUAGES)}.")] = LANGUAGES[0],
    as_json: AsJson = False,
) -> None:
    """Add a user; print the link by which they set a password. It is shown once, and ends in 48 hours."""

    async def work(session: AsyncSession) -> tuple[User, str]:
        return await users.add(
            session, email=email, name=name, role=role, language=language, by=CLI, now=utc_now()
        )

    user, token = carry_out(work, users.BadUser)
    show(_shown(user) | {"link": _address(token)}, _address(token), as_json=as_json)


@user_app.command("link")
def link(email: WhichUser, as_json: AsJson = False) -> None:
    """Print a new link to set a password: for whoever forgot it."""

    async def work(session: AsyncSession) -> tuple[User, str]:
        user = await _user(session, email)
        return user, await users.make_link(session, user, by=CLI, now=utc_now())

    user, token = carry_out(work, users.UnknownUser)
    show(_shown(user) | {"link": _address(token)}, _address(token), as_json=as_json)


@user_app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the users."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        return [_shown(each) for each in await users.everybody(session)]

    rows = carry_out(work)
    show(rows, table(rows, ("email", "name", "role", "active", "second_factor")), as_json=as_json)


@user_app.command("shut-out")
def shut_out(email: WhichUser, as_json: AsJson = False) -> None:
    """End all of a user's sessions, and let them in no more."""

    async def work(session: AsyncSession) -> User:
        user = await _user(session, email)
        return await users.set_active(session, user.id, is_active=False, by=CLI, now=utc_now())

    user = carry_out(work, users.UnknownUser, users.LastOwner)
    show(_shown(user), f"{user.email} is shut out", as_json=as_json)


async def _user(session: AsyncSession, email: str) -> User:
    if (found := await users.by_email(session, email)) is None:
        raise users.UnknownUser(f"no user {email}: see `passbell user list`")
    return found


def _shown(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "active": user.is_active,
        "second_factor": user.totp_sealed is not None,
    }


def _address(token: str) -> str:
    return f"{read_settings().public_url}/console/link/{token}"
