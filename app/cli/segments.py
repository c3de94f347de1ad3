"""`passbell segment`: who is in an audience, counted before anything is planned."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import segments
from app.campaigns.conditions import InvalidCondition
from app.campaigns.models import Segment
from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, fail, show, table
from app.clock import utc_now

segment_app = typer.Typer(help="Say who is in an audience.", no_args_is_help=True)

_REFUSALS = (InvalidCondition, segments.UnknownSegment, segments.SegmentNameTaken, segments.NoSuchCsv)
Name = Annotated[str, typer.Argument(help="What people call it.")]
FromFile = Annotated[Path, typer.Argument(help="A file.")]


@segment_app.command("list")
def list_segments(program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the segments, oldest first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        query = select(Segment).where(Segment.program_id == owner.id).order_by(Segment.id)
        return [_shown(each) for each in await session.scalars(query)]

    rows = carry_out(work)
    show(rows, table(rows, ("id", "name", "kind")), as_json=as_json)


@segment_app.command("count")
def count(
    which: Annotated[str, typer.Argument(help="seg_..., or a JSON file with a condition.")],
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Count who is in it now, and name ten of them."""
    condition = None if which.startswith("seg_") else read_json(Path(which))

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        if condition is None:
            segment = await segments.by_id(session, owner.id, which)
            audience = await segments.segment_sql(session, owner, segment, now=utc_now())
        else:
            audience = await segments.condition_sql(session, owner, condition, now=utc_now())
        counted = await segments.count(session, owner, audience)
        return {"count": counted.count, "sample": [each.name for each in counted.sample]}

    found = carry_out(work, *_REFUSALS)
    words = f"{found['count']} members" + (
        f", such as {', '.join(found['sample'])}" if found["sample"] else ""
    )
    show(found, words, as_json=as_json)


@segment_app.command("create")
def create(name: Name, condition: FromFile, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Keep a condition (JSON) under a name: who is in it is found out each time."""
    given = read_json(condition)

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        return _shown(await segments.create(session, owner.id, name=name, condition=given, now=utc_now()))

    row = carry_out(work, *_REFUSALS)
    show(row, f"{row['id']} is {row['name']}", as_json=as_json)


@segment_app.command("import")
def import_(name: Name, members: FromFile, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Make a list from CSV: in the first column ids, "ext:source:id", card numbers or phones."""
    try:
        text = members.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{members}: {error}")

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        read = await segments.read_csv(session, owner, name=name, text=text, now=utc_now())
        return _shown(read.segment) | {"members": read.members, "unknown_lines": list(read.unknown)}

    row = carry_out(work, *_REFUSALS)
    unknown = ", ".join(str(line) for line in row["unknown_lines"])
    words = f"{row['id']} has {row['members']} members"
    show(row, f"{words}; nobody is meant by line {unknown}" if unknown else words, as_json=as_json)


def read_json(path: Path) -> dict[str, Any]:
    """An object from a file; the command ends with 1 where there is none."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except (ValueError, TypeError) as error:
        fail(f"{path}: is no JSON object ({error})")


def _shown(segment: Segment) -> dict[str, Any]:
    return {"id": segment.id, "name": segment.name, "kind": segment.kind, "condition": segment.condition}
