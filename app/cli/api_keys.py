"""`passbell key`: the keys of the REST API."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, show, table
from app.clock import utc_now
from app.members import api_keys
from app.members.models import ApiKey

key_app = typer.Typer(help="Create, list and revoke keys of the REST API.", no_args_is_help=True)


@key_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help='What the key is for: "till", "Bitrix24".')],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"May be repeated: {', '.join(api_keys.SCOPES)}. Default: all.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="How long it lives; default: until it is revoked.")] = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it. It is shown this once and never again."""
    now = utc_now()
    expires_at = None if days is None else now + timedelta(days=days)

    async def work(session: AsyncSession) -> tuple[ApiKey, str]:
        owner = await program_of(session, program)
        return await api_keys.create_key(
            session,
            owner.id,
            name=name[:64],
            scopes=scope or [api_keys.EVERY_SCOPE],
            now=now,
            expires_at=expires_at,
        )

    row, key = carry_out(work, api_keys.UnknownScope)
    show(_shown(row, now) | {"key": key}, key, as_json=as_json)


@key_app.command("list")
def list_(program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the keys, newest first."""
    now = utc_now()

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        return [_shown(row, now) for row in await api_keys.list_keys(session, owner.id)]

    rows = carry_out(work)
    show(rows, table(rows, ("id", "name", "state", "scopes", "last_used_at")), as_json=as_json)


@key_app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="key_..., as `passbell key list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Take a key out of use for good."""
    now = utc_now()

    async def work(session: AsyncSession) -> dict[str, Any]:
        return _shown(await api_keys.revoke(session, key_id, now=now), now)

    row = carry_out(work, api_keys.UnknownApiKey)
    show(row, f"revoked {row['id']} ({row['name']})", as_json=as_json)


def _shown(row: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "state": api_keys.state_of(row, now=now),
        "scopes": " ".join(row.scopes),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }
