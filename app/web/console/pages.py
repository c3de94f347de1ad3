"""A page of the console: who is signed in, what their role may open, and the formats of their language."""

from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_decimal
from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Program
from app.staff.roles import Permission, may
from app.web.console.route import who_is
from app.web.dependencies import services_of
from app.web.rendering import page

PROGRAM_COOKIE = "passbell_program"

# The pages of the menu: address, key of the text, who may open it.
MENU = (
    ("/console", "home", Permission.HOME),
    ("/console/campaigns", "campaigns", Permission.CAMPAIGNS_READ),
    ("/console/members", "members", Permission.MEMBERS_READ),
    ("/console/reports", "reports", Permission.REPORTS),
    ("/console/users", "users", Permission.USERS_MANAGE),
    ("/console/keys", "keys", Permission.KEYS),
    ("/console/work", "work", Permission.OPERATIONS),
    ("/console/audit", "audit", Permission.AUDIT_READ),
)


def console_page(
    request: Request,
    name: str,
    *,
    language: str,
    time_zone: str = "UTC",
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """A page for somebody who is signed in."""
    who = who_is(request)
    return page(
        request,
        services_of(request).texts,
        f"console/{name}",
        language=language,
        status=status,
        who=who,
        menu=[(url, key) for url, key, permission in MENU if may(who.role, permission)],
        here=request.url.path,
        programs=getattr(request.state, "programs", ()),
        number=partial(format_decimal, locale=language),
        moment=partial(_moment, language=language, time_zone=time_zone),
        **context,
    )


def first_page(role: str) -> str:
    """Where a role begins: the first page of the menu that it may open."""
    return next((url for url, _, permission in MENU if may(role, permission)), "/console/account")


async def the_program(request: Request, session: AsyncSession) -> Program | None:
    """The programme the console shows: the one that was chosen, else the oldest. None before there is any.

    The page that is made after it offers the others.
    """
    found = (await session.scalars(select(Program).order_by(Program.id))).all()
    request.state.programs = found
    chosen = request.cookies.get(PROGRAM_COOKIE)
    return next((each for each in found if each.id == chosen), next(iter(found), None))


def _moment(at: datetime, *, language: str, time_zone: str, form: str = "short") -> str:
    return format_datetime(at.astimezone(ZoneInfo(time_zone)), form, locale=language)
