"""The first page: how the programme is doing, each figure with its definition."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from app.points import figures
from app.staff.roles import Permission
from app.web.console.pages import PROGRAM_COOKIE, console_page, first_page, the_program
from app.web.console.route import PATH, ConsoleRoute, needs, who_is
from app.web.console.sign_in import FIELDS_MAX
from app.web.dependencies import FromServices, Language, Now, Reading

router = APIRouter(prefix="/console", route_class=ConsoleRoute)

SHOWN = ("members", "joined", "on_phones", "installed", "removed", "pushes", "issued", "spent", "owed")


@router.get("")
@needs(Permission.HOME)
async def home(
    request: Request,
    session: Reading,
    language: Language,
    now: Now,
    days: Annotated[Literal["7", "30", "90"], Query()] = "30",
) -> Response:
    """The figures of a period."""
    program = await the_program(request, session)
    found = None if program is None else await figures.of_program(session, program, days=int(days), now=now)
    return console_page(
        request,
        "home.html",
        language=language,
        time_zone=program.time_zone if program else "UTC",
        program=program,
        figures=found,
        shown=SHOWN,
        days=days,
        periods=("7", "30", "90"),
        most=max((count for _, count in found.joined_by_day), default=0) if found else 0,
    )


@router.post("/program")
@needs(Permission.OWN_ACCOUNT)
async def choose_program(request: Request, services: FromServices) -> Response:
    """Show another programme from now on, in this browser."""
    form = await request.form(max_fields=FIELDS_MAX)
    response = RedirectResponse(first_page(who_is(request).role), 303)
    is_https = services.settings.public_url.startswith("https://")
    chosen = str(form.get("program", ""))[:64]
    if chosen.isidentifier():  # an id of ours; whether there is such a programme is looked up each time
        response.set_cookie(PROGRAM_COOKIE, chosen, path=PATH, httponly=True, secure=is_https, samesite="lax")
    return response
