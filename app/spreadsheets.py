"""Tables for spreadsheets, as CSV and as XLSX, whose cells no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

Cell = str | int | float | None

# Spreadsheets take UTF-8 for something else unless the file begins with this.
BYTE_ORDER_MARK = "\ufeff"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS_MAX = 1_048_576  # of a sheet, the head included: Excel's own limit
TEXT_MAX = 32_767  # characters of a cell
_WIDTH_MIN, _WIDTH_MAX = 12, 40  # of a column, in characters
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Sequence[Cell]) -> str:
    """One line of CSV."""
    out = io.StringIO()
    csv.writer(out).writerow([_safe(cell) for cell in cells])
    return out.getvalue()


def _safe(cell: Cell) -> str | float:
    """A text that begins like a formula gets an apostrophe before it, as OWASP says ("CSV injection")."""
    if cell is None:
        return ""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


class XlsxFile:
    """A workbook that is written row by row: a million rows take no more memory than one.

    Numbers are numbers and texts are texts, so that nothing needs an apostrophe. What one sheet cannot hold
    goes on in the next.
    """

    def __init__(self, file: BinaryIO, head: Sequence[str]) -> None:
        import xlsxwriter  # noqa: PLC0415  four megabytes for a process that may never be asked

        self._workbook = xlsxwriter.Workbook(file, {"constant_memory": True})
        self._bold = self._workbook.add_format({"bold": True})  # pyright: ignore[reportUnknownMemberType]
        self._head = head
        self._sheet, self._row = self._begin_sheet()

    def add(self, lines: Iterable[Sequence[Cell]]) -> None:
        """Write these lines."""
        for line in lines:
            if self._row == ROWS_MAX:
                self._sheet, self._row = self._begin_sheet()
            for column, cell in enumerate(line):
                if isinstance(cell, str):
                    self._sheet.write_string(self._row, column, cell[:TEXT_MAX])
                elif cell is not None:
                    self._sheet.write_number(self._row, column, cell)
            self._row += 1

    def close(self) -> None:
        """Finish the file; it is not readable before."""
        self._workbook.close()

    def _begin_sheet(self) -> "tuple[Worksheet, int]":
        sheet = self._workbook.add_worksheet()  # pyright: ignore[reportUnknownMemberType]
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(self._head):
            sheet.set_column(column, column, min(max(len(name) + 4, _WIDTH_MIN), _WIDTH_MAX))
            sheet.write_string(0, column, name, self._bold)
        return sheet, 1
