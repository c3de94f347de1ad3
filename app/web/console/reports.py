"""Preset reports: chosen, given a period, and downloaded; every download stands in the audit log."""

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import Response, StreamingResponse

from app.campaigns.export import row_of
from app.i18n import Texts
from app.members.models import Program
from app.reports.presets import PRESETS, Cell, Period, Report, lines
from app.staff import audit
from app.staff.roles import Permission
from app.web.console.pages import console_page, the_program
from app.web.console.route import ConsoleRoute, needs, who_is
from app.web.dependencies import FromServices, Language, Now, Reading
from app.web.rendering import PageNotFound
from app.wiring import Services

router = APIRouter(prefix="/console/reports", route_class=ConsoleRoute)

Days = Literal["7", "30", "90", "365"]
# Columns of words of ours, and where their texts are.
_WORDS = {"kind": "console.kinds", "state": "console.campaign_states"}
# Spreadsheets take UTF-8 for something else unless the file begins with this.
_BYTE_ORDER_MARK = "\ufeff"

ReportName = Annotated[str, Path(max_length=32)]


@router.get("")
@needs(Permission.REPORTS)
async def show(request: Request, session: Reading, language: Language) -> Response:
    """What there is, each with its sentence and a button."""
    return console_page(
        request,
        "reports.html",
        language=language,
        program=await the_program(request, session),
        reports=tuple(PRESETS),
        with_period={name for name, each in PRESETS.items() if each.has_period},
        periods=get_args(Days),
    )


@router.post("/{report}")
@needs(Permission.REPORTS)
async def download(
    request: Request,
    report: ReportName,
    services: FromServices,
    language: Language,
    now: Now,
    days: Annotated[Days, Form()] = "30",
) -> Response:
    """The report as CSV."""
    preset = PRESETS.get(report)
    async with services.sessions.begin() as session:
        program = await the_program(request, session)
        if preset is None or program is None:
            raise PageNotFound
        after = {"program": program.slug} | ({"days": int(days)} if preset.has_period else {})
        await audit.record(session, who_is(request).actor, "report.downloaded", report, after=after, now=now)
    period = Period(now - timedelta(days=int(days)), now)
    name = f"{program.slug}-{report}-{now:%Y-%m-%d}.csv"
    return StreamingResponse(
        _as_csv(services, preset, program, period, language),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


async def _as_csv(
    services: Services, preset: Report, program: Program, period: Period, language: str
) -> AsyncGenerator[str]:
    columns, texts = preset.columns(), services.texts
    yield _BYTE_ORDER_MARK + row_of([texts.get(language, f"console.columns.{each}") for each in columns])
    async for page in lines(services.read_sessions, preset, program, period):
        yield "".join(row_of(_in_words(line, columns, texts, language)) for line in page)


def _in_words(line: Sequence[Cell], columns: Sequence[str], texts: Texts, language: str) -> list[Cell]:
    return [
        texts.get(language, f"{_WORDS[column]}.{cell}") if column in _WORDS else cell
        for column, cell in zip(columns, line, strict=True)
    ]
