"""Preset reports: chosen, given a period, and downloaded; every download stands in the audit log."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import Response, StreamingResponse

from app.i18n import Texts
from app.members.models import Program
from app.reports.presets import PRESETS, Period, Report, lines
from app.spreadsheets import BYTE_ORDER_MARK, XLSX, Cell, XlsxFile, csv_line
from app.staff import audit
from app.staff.roles import Permission
from app.web.console.pages import console_page, the_program
from app.web.console.route import ConsoleRoute, needs, who_is
from app.web.dependencies import FromServices, Language, Now, Reading
from app.web.rendering import PageNotFound
from app.wiring import Services

router = APIRouter(prefix="/console/reports", route_class=ConsoleRoute)

Days = Literal["7", "30", "90", "365"]
FileForm = Literal["csv", "xlsx"]
# Columns of words of ours, and where their texts are.
_WORDS = {"kind": "console.kinds", "state": "console.campaign_states"}
_BYTES_AT_ONCE = 65_536

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
        forms=get_args(FileForm),
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
    form: Annotated[FileForm, Form()] = "csv",
) -> Response:
    """The report as a file."""
    preset = PRESETS.get(report)
    async with services.sessions.begin() as session:
        program = await the_program(request, session)
        if preset is None or program is None:
            raise PageNotFound
        after = {"program": program.slug, "form": form}
        after |= {"days": int(days)} if preset.has_period else {}
        await audit.record(session, who_is(request).actor, "report.downloaded", report, after=after, now=now)
    period = Period(now - timedelta(days=int(days)), now)
    table = _Table(services, preset, program, period, language)
    name = f"{program.slug}-{report}-{now:%Y-%m-%d}.{form}"
    return StreamingResponse(
        table.as_csv() if form == "csv" else table.as_xlsx(),
        media_type="text/csv; charset=utf-8" if form == "csv" else XLSX,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@dataclass(frozen=True)
class _Table:
    """One report of one programme, in the words of a language."""

    services: Services
    preset: Report
    program: Program
    period: Period
    language: str

    async def as_csv(self) -> AsyncGenerator[str]:
        yield BYTE_ORDER_MARK + csv_line(self._head())
        async for page in self._pages():
            yield "".join(map(csv_line, page))

    async def as_xlsx(self) -> AsyncGenerator[bytes]:
        """A workbook is whole or nothing, so it is written to a temporary file first."""
        with tempfile.TemporaryFile() as file:
            workbook = XlsxFile(file, self._head())
            async for page in self._pages():
                await asyncio.to_thread(workbook.add, page)
            await asyncio.to_thread(workbook.close)
            file.seek(0)
            while some := await asyncio.to_thread(file.read, _BYTES_AT_ONCE):
                yield some

    def _head(self) -> list[str]:
        return [self.services.texts.get(self.language, f"console.columns.{each}") for each in self._columns()]

    def _columns(self) -> list[str]:
        return self.preset.columns()

    async def _pages(self) -> AsyncGenerator[list[list[Cell]]]:
        columns = self._columns()
        async for page in lines(self.services.read_sessions, self.preset, self.program, self.period):
            yield [_in_words(line, columns, self.services.texts, self.language) for line in page]


def _in_words(line: Sequence[Cell], columns: Sequence[str], texts: Texts, language: str) -> list[Cell]:
    return [
        texts.get(language, f"{_WORDS[column]}.{cell}") if column in _WORDS else cell
        for column, cell in zip(columns, line, strict=True)
    ]
