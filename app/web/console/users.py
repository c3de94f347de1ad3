"""Users of the console: who may sign in, as what, and from where they are signed in."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.staff import users
from app.staff.models import User
from app.staff.roles import ROLES, Permission
from app.web.api.values import IdInPath
from app.web.console.pages import console_page
from app.web.console.route import PATH, ConsoleRoute, needs, who_is
from app.web.console.sign_in import FIELDS_MAX
from app.web.dependencies import FromServices, Language, Now, Reading, Transaction
from app.web.rendering import PageNotFound
from app.wiring import Services

router = APIRouter(prefix="/console/users", route_class=ConsoleRoute)


@router.get("")
@needs(Permission.USERS_MANAGE)
async def show(request: Request, session: Reading, language: Language) -> Response:
    """All users, and the form for another."""
    return await _page(request, session, language)


async def _page(
    request: Request,
    session: AsyncSession,
    language: str,
    *,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    problem: tuple[str, str] | None = None,
    link: tuple[User, str] | None = None,
) -> Response:
    return console_page(
        request,
        "users.html",
        language=language,
        status=status,
        users=await users.everybody(session),
        roles=tuple(ROLES),
        given=given or {"email": "", "name": "", "role": "marketer"},
        problem=problem,
        link=link,
    )


@router.post("")
@needs(Permission.USERS_MANAGE)
async def add(
    request: Request, session: Transaction, services: FromServices, language: Language, now: Now
) -> Response:
    """Add a user, and show the link to hand to them."""
    form = await request.form(max_fields=FIELDS_MAX)
    given = {name: str(form.get(name, "")) for name in ("email", "name", "role")}
    try:
        user, token = await users.add(session, **given, language=language, by=who_is(request).actor, now=now)
    except users.BadUser as error:
        return await _page(
            request, session, language, status=422, given=given, problem=(error.field, str(error))
        )
    return await _page(request, session, language, link=(user, _address(services, token)))


@router.post("/{user_id}/link")
@needs(Permission.USERS_MANAGE)
async def make_link(
    request: Request,
    user_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """A link to set a new password: for whoever forgot it."""
    user = await _user(session, user_id)
    token = await users.make_link(session, user, by=who_is(request).actor, now=now)
    return await _page(request, session, language, link=(user, _address(services, token)))


@router.post("/{user_id}/role")
@needs(Permission.USERS_MANAGE)
async def set_role(
    request: Request, user_id: IdInPath, session: Transaction, language: Language, now: Now
) -> Response:
    """Give a user another role."""
    form = await request.form(max_fields=FIELDS_MAX)
    user = await _user(session, user_id)
    try:
        await users.set_role(session, user.id, str(form.get("role", "")), by=who_is(request).actor, now=now)
    except (users.BadUser, users.LastOwner) as error:
        return await _page(request, session, language, status=422, problem=(user.id, str(error)))
    return RedirectResponse(f"{PATH}/users", 303)


@router.post("/{user_id}/active")
@needs(Permission.USERS_MANAGE)
async def set_active(
    request: Request, user_id: IdInPath, session: Transaction, language: Language, now: Now
) -> Response:
    """Shut a user out, or let them in again."""
    form = await request.form(max_fields=FIELDS_MAX)
    user, by = await _user(session, user_id), who_is(request).actor
    try:
        await users.set_active(session, user.id, is_active=form.get("active") == "yes", by=by, now=now)
    except users.LastOwner as error:
        return await _page(request, session, language, status=422, problem=(user.id, str(error)))
    return RedirectResponse(f"{PATH}/users", 303)


async def _user(session: AsyncSession, user_id: str) -> User:
    try:
        return await users.to_change(session, user_id)
    except users.UnknownUser as error:
        raise PageNotFound from error


def _address(services: Services, token: str) -> str:
    return f"{services.settings.public_url}{PATH}/link/{token}"
