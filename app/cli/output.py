"""What commands print: words for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NoReturn

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def show(data: object, words: str, *, as_json: bool) -> None:
    """Print the words, or the data as one JSON document."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_plain) if as_json else words)


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Rows under their columns' names, aligned; "none" without rows."""
    if not rows:
        return "none"
    cells = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def fail(message: str) -> NoReturn:
    """End the command with status 1 and a sentence on standard error."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _cell(value: object) -> str:
    return "-" if value is None else str(_plain(value) if isinstance(value, datetime) else value)


def _plain(value: object) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else str(value)
