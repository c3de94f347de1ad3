"""The evidence: what happened to a pass, line by line, and why a phone stayed silent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Json, UtcDateTime, new_id
from app.passes.models import TraceEvent
from app.sql import typed_text
from app.webhooks.announce import announce_many

Details = Mapping[str, str | int | None]

ISSUED = "issued"
LINK_OPENED = "link_opened"
DOWNLOADED = "downloaded"  # the .pkpass left through the pass page
INSTALLED = "installed"  # a device registered
UNINSTALLED = "uninstalled"
CHANGED = "changed"  # details: because of what
PUSH_ACCEPTED = "push_accepted"  # details: apns_id, device
PUSH_REFUSED = "push_refused"  # details: reason
PUSH_HELD_BACK = "push_held_back"  # a campaign's: notify (deferred | silent), why, until
DEVICE_GONE = "device_gone"
WEB_SILENT = "web_silent"  # a web card was changed without a push; details: why
ASKED = "asked"  # a device asked what is new
FETCHED = "fetched"  # a device downloaded a version
NOT_MODIFIED = "not_modified"  # a device was answered 304
REFUSED = "refused"  # a request with a wrong token
GOOGLE_INSERTED = "google_inserted"  # Google has the pass: its save link works
GOOGLE_UPDATED = "google_updated"  # details: notify (rings | silent), why
GOOGLE_MESSAGE = "google_message"  # of the newest message: notify (rings | silent | deferred), why
GOOGLE_REFUSED = "google_refused"  # details: reason
VOIDED = "voided"
RESTORED = "restored"


# What other systems are told of, as "pass.<kind>". A change is told where it is made: versions.py.
ANNOUNCED = frozenset(
    {ISSUED, INSTALLED, UNINSTALLED, PUSH_ACCEPTED, PUSH_REFUSED, FETCHED, VOIDED, RESTORED}
)

COUNTER_LENGTH = 4  # hexadecimal digits at the end of a line's id, where many are written at once

# The table, not the class: the ORM's bulk insert costs four times as much, and this is in every request.
_ADD = insert(cast(Table, TraceEvent.__table__))
# Many as one JSON value: row by row they would be most of what a campaign costs.
_ADD_MANY = {
    dialect: typed_text(
        f"""INSERT INTO trace (id, program_id, pass_id, kind, version, details, at)
        SELECT {values}, :now FROM {elements}(:rows)""",  # noqa: S608  constants of this file
        {"rows": Json(), "now": UtcDateTime()},
    )
    for dialect, elements, values in (
        ("sqlite", "json_each", ", ".join(f"json_extract(value, '$[{number}]')" for number in range(6))),
        (
            "postgresql",
            "jsonb_array_elements",
            "value->>0, value->>1, value->>2, value->>3, CAST(value->>4 AS bigint), value->5",
        ),
    )
}


async def record(
    session: AsyncSession,
    program_id: str,
    pass_ids: Sequence[str],
    kind: str,
    *,
    now: datetime,
    version: int | None = None,
    details: Details | None = None,
) -> None:
    """Add one line to the story of each pass, in one statement."""
    await record_versions(
        session, program_id, dict.fromkeys(pass_ids, version), kind, now=now, details=details
    )


async def record_versions(
    session: AsyncSession,
    program_id: str,
    versions: Mapping[str, int | None],
    kind: str,
    *,
    now: datetime,
    details: Details | None = None,
) -> None:
    """The same for passes that each have their own version, given by pass."""
    lines = [Line(program_id, pass_id, kind, version, details or {}) for pass_id, version in versions.items()]
    await record_lines(session, lines, now=now)


@dataclass(frozen=True)
class Line:
    """One line to add to a pass's story."""

    program_id: str
    pass_id: str
    kind: str
    version: int | None
    details: Details


async def record_lines(session: AsyncSession, lines: Sequence[Line], *, now: datetime) -> None:
    """Add lines, each of its own kind, in one statement."""
    if not lines:
        return
    if session.new or session.dirty:
        await session.flush()  # a pass made a moment ago may not be in the database yet
    if len(lines) == 1:
        await session.execute(_ADD, {"id": new_id("trc"), "at": now, **vars(lines[0])})
    else:
        stem = new_id("trc")[:-COUNTER_LENGTH]
        rows: list[list[Any]] = [
            [
                f"{stem}{at:0{COUNTER_LENGTH}x}",
                each.program_id,
                each.pass_id,
                each.kind,
                each.version,
                dict(each.details),
            ]
            for at, each in enumerate(lines)
        ]
        values = {"rows": rows, "now": now}
        await session.execute(_ADD_MANY[session.get_bind().dialect.name], values)
    await tell_others(session, lines, now=now)


async def tell_others(session: AsyncSession, lines: Sequence[Line], *, now: datetime) -> None:
    """Announce lines that other systems may want to hear of."""
    told = [line for line in lines if line.kind in ANNOUNCED]
    for program_id in sorted({line.program_id for line in told}):
        happened = [
            (f"pass.{line.kind}", {"pass_id": line.pass_id, "version": line.version} | dict(line.details))
            for line in told
            if line.program_id == program_id
        ]
        await announce_many(session, program_id, happened, now=now)


async def record_once(
    session: AsyncSession,
    program_id: str,
    pass_id: str,
    kind: str,
    *,
    version: int,
    details: Details,
    now: datetime,
) -> None:
    """Add a line unless the newest says the same: what fails may be tried for days."""
    newest = await session.scalar(
        select(TraceEvent).where(TraceEvent.pass_id == pass_id).order_by(TraceEvent.id.desc()).limit(1)
    )
    if newest is None or (newest.kind, newest.version, newest.details) != (kind, version, dict(details)):
        await record(session, program_id, [pass_id], kind, version=version, details=details, now=now)


async def story(session: AsyncSession, pass_id: str, *, limit: int = 200) -> list[TraceEvent]:
    """The newest lines of a pass's story, as they happened.

    Not as they were written: a push is written down when its answer is in, and by then the phone may have
    fetched the pass already.
    """
    newest = (
        select(TraceEvent).where(TraceEvent.pass_id == pass_id).order_by(TraceEvent.id.desc()).limit(limit)
    )
    return sorted(reversed((await session.scalars(newest)).all()), key=lambda line: line.at)
