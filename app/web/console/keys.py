"""Keys of the REST API: which there are, a new one for whoever gives their password, and out of use."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import api_keys
from app.members.models import ApiKey, Program
from app.staff import audit, sessions
from app.staff.roles import Permission
from app.web.api.values import IdInPath
from app.web.console.pages import console_page, the_program
from app.web.console.route import PATH, ConsoleRoute, needs, who_is
from app.web.console.sign_in import FIELDS_MAX
from app.web.console.step_up import prove
from app.web.dependencies import FromServices, Language, Now, Reading, Transaction
from app.web.rendering import PageNotFound

router = APIRouter(prefix="/console/keys", route_class=ConsoleRoute)

NAME_MAX = 64
DAYS = ("30", "90", "365", "never")
# What most keys are for; every scope by itself is `passbell key create --scope`.
PURPOSES: dict[str, tuple[str, ...]] = {
    "till": ("accounts:read", "members:read", "passes:read", "transactions:write"),
    "crm": ("accounts:write", "members:write", "messages:read", "passes:write", "transactions:write"),
    "reading": tuple(scope for scope in api_keys.SCOPES if scope.endswith(":read")),
    "everything": (api_keys.EVERY_SCOPE,),
}


@router.get("")
@needs(Permission.KEYS)
async def show(request: Request, session: Reading, language: Language, now: Now) -> Response:
    """The programme's keys, newest first, and the form for another."""
    return await _page(request, session, language, now=now)


async def _page(
    request: Request,
    session: AsyncSession,
    language: str,
    *,
    now: datetime,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    problem: str = "",
    made: tuple[ApiKey, str] | None = None,
) -> Response:
    program = await the_program(request, session)
    found = await api_keys.list_keys(session, program.id) if program else ()
    return console_page(
        request,
        "keys.html",
        language=language,
        time_zone=program.time_zone if program else "UTC",
        status=status,
        program=program,
        keys=[(each, api_keys.state_of(each, now=now)) for each in found],
        purposes=PURPOSES,
        days=DAYS,
        given=given or {"name": "", "purpose": "till", "days": "365"},
        problem=problem,
        made=made,
    )


@router.post("")
@needs(Permission.KEYS)
async def create(request: Request, services: FromServices, language: Language, now: Now) -> Response:
    """Make a key, for who is signed in and knows their password; it is shown this once."""
    form = await request.form(max_fields=FIELDS_MAX)
    given = {name: str(form.get(name, "")).strip() for name in ("name", "purpose", "days")}

    async def again(problem: str, status: int = 422) -> Response:
        async with services.read_sessions() as session:
            return await _page(
                request, session, language, now=now, status=status, given=given, problem=problem
            )

    if not given["name"] or len(given["name"]) > NAME_MAX or not given["name"].isprintable():
        return await again("name")
    if given["purpose"] not in PURPOSES or given["days"] not in DAYS:
        return await again("choice")
    try:
        known = await prove(request, services, str(form.get("password", "")), now=now)
        async with services.sessions.begin() as session:
            await sessions.unchanged(session, known)
            program = await the_program(request, session)
            if program is None:
                raise PageNotFound
            made = await _make(session, program, given, now=now)
            change: dict[str, Any] = {"name": made[0].name, "scopes": made[0].scopes}
            await audit.record(
                session, who_is(request).actor, "key.created", made[0].id, after=change, now=now
            )
    except sessions.TooManyTries:
        return await again("too_often", 429)
    except sessions.NotSignedIn:
        return await again("password")
    async with services.read_sessions() as session:
        return await _page(request, session, language, now=now, made=made)


async def _make(
    session: AsyncSession, program: Program, given: Mapping[str, str], *, now: datetime
) -> tuple[ApiKey, str]:
    expires_at = None if given["days"] == "never" else now + timedelta(days=int(given["days"]))
    return await api_keys.create_key(
        session,
        program.id,
        name=given["name"],
        scopes=PURPOSES[given["purpose"]],
        now=now,
        expires_at=expires_at,
    )


@router.post("/{key_id}/revoke")
@needs(Permission.KEYS)
async def revoke(request: Request, key_id: IdInPath, session: Transaction, now: Now) -> Response:
    """Take a key of the programme out of use for good. No password: whoever found a leak is in a hurry."""
    program = await the_program(request, session)
    key = await session.get(ApiKey, key_id)
    if program is None or key is None or key.program_id != program.id:
        raise PageNotFound
    if key.revoked_at is None:
        await api_keys.revoke(session, key.id, now=now)
        change = {"name": key.name}
        await audit.record(session, who_is(request).actor, "key.revoked", key.id, after=change, now=now)
    return RedirectResponse(f"{PATH}/keys", 303)
