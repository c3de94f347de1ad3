"""The audit log: who did what, newest first."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import select

from app.staff.models import AuditEntry
from app.staff.roles import Permission
from app.web.console.pages import console_page, the_program
from app.web.console.route import ConsoleRoute, needs
from app.web.dependencies import Language, Reading

router = APIRouter(prefix="/console/audit", route_class=ConsoleRoute)

SHOWN_MAX = 100


@router.get("")
@needs(Permission.AUDIT_READ)
async def show(
    request: Request,
    session: Reading,
    language: Language,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """A page of entries; `before` is the number to go on from."""
    query = select(AuditEntry).order_by(AuditEntry.number.desc()).limit(SHOWN_MAX)
    if before is not None:
        query = query.where(AuditEntry.number < before)
    entries = (await session.scalars(query)).all()
    program = await the_program(request, session)
    return console_page(
        request,
        "audit.html",
        language=language,
        time_zone=program.time_zone if program else "UTC",
        program=program,
        entries=entries,
        older=entries[-1].number if len(entries) == SHOWN_MAX and entries[-1].number > 1 else None,
    )
