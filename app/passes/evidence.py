"""What phones ask, written down behind their backs: lines of the trace that no answer waits for.

A phone that asks again and again must be answered in microseconds, and a line of the trace is a write. So the
lines are kept here for a moment and written together. A crash loses those of the last quarter second: nothing
is ever decided from them. Everything that matters (registrations, pushes) is written in its own transaction.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import DATABASE_AWAY, Sessions, UtcDateTime, new_id
from app.passes import trace
from app.passes.models import Pass, TraceEvent

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.25
LINES_MAX = 10_000  # kept at most: beyond it they are counted and dropped
# The same line again within this time says nothing new, and a flood of them would fill the table.
REPEATED_AFTER_SECONDS = 60
FETCHES_PER_PERIOD = 20  # as many phones may hold one pass
_REMEMBERED_MAX = 20_000

Details = Mapping[str, str | int | None]
_Key = tuple[str, str, int | None, str | int | None]  # subject, kind, version, device


@dataclass(frozen=True)
class _Line:
    id: str  # of now: the story stands in the order it happened, to the millisecond
    owner: (
        tuple[str, str] | None
    )  # programme and pass; None: `subject` is a serial number, perhaps of no pass
    subject: str
    kind: str
    version: int | None
    details: Details
    at: datetime


class Evidence:
    """Collects lines and writes them every FLUSH_SECONDS, the first after a quiet time at once."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lines: list[_Line] = []
        self._seen: dict[str, datetime] = {}
        self._dropped = 0
        self._written: OrderedDict[_Key, tuple[float, int]] = OrderedDict()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(
        self,
        program_id: str,
        pass_id: str,
        kind: str,
        *,
        now: datetime,
        version: int | None = None,
        details: Details | None = None,
    ) -> None:
        """Keep one line of a pass's story to be written soon; a repetition within a minute is left out."""
        self._keep(pass_id, kind, version, details or {}, now, owner=(program_id, pass_id))

    def note_refused(self, serial_number: str, reason: str, *, now: datetime) -> None:
        """Keep a refusal. Whether there is such a pass is only looked up when it is written.

        So the answer takes the same time for a pass that exists and one that does not.
        """
        self._keep(serial_number, trace.REFUSED, None, {"reason": reason}, now, owner=None)

    def note_seen(self, device_library_identifier: str, *, now: datetime) -> None:
        """Keep that a device is alive: the one not seen for longest is the first to be forgotten."""
        if len(self._seen) < LINES_MAX:
            self._seen[device_library_identifier] = now
            self._wake.set()

    def _keep(
        self,
        subject: str,
        kind: str,
        version: int | None,
        details: Details,
        now: datetime,
        *,
        owner: tuple[str, str] | None,
    ) -> None:
        if not self._is_new((subject, kind, version, details.get("device")), now.timestamp()):
            return
        if len(self._lines) >= LINES_MAX:
            self._dropped += 1
            return
        self._lines.append(_Line(new_id("trc"), owner, subject, kind, version, details, now))
        self._wake.set()

    def _is_new(self, key: _Key, at: float) -> bool:
        since, times = self._written.get(key, (at, 0))
        if at - since >= REPEATED_AFTER_SECONDS:
            since, times = at, 0
        self._written[key] = (since, times + 1)
        self._written.move_to_end(key)
        if len(self._written) > _REMEMBERED_MAX:
            self._written.popitem(last=False)
        return times < (FETCHES_PER_PERIOD if key[1] == trace.FETCHED else 1)

    async def flush(self) -> None:
        """Write what is kept, in one transaction. Afterwards everything noted before is written."""
        async with self._writing:
            lines, self._lines = self._lines, []
            seen, self._seen = self._seen, {}
            dropped, self._dropped = self._dropped, 0
            self._wake.clear()
            if dropped:
                log.warning("evidence.dropped", lines=dropped)
            if lines or seen:
                await self._write(lines, seen)

    async def _write(self, lines: list[_Line], seen: Mapping[str, datetime]) -> None:
        async with self._sessions.begin() as session:
            rows = await _rows(session, lines)
            if rows:
                await session.execute(insert(TraceEvent), rows)
                await _tell_others(session, rows)
            if seen:
                await _mark_seen(session, seen)

    async def run(self) -> None:
        """Flush until cancelled. A database that is away for a moment costs lines, no phone its answer."""
        while True:
            await self._wake.wait()
            try:
                await self.flush()
            except DATABASE_AWAY as error:
                log.warning("evidence.lost", reason=type(error).__name__)
            await asyncio.sleep(FLUSH_SECONDS)


@asynccontextmanager
async def collecting(sessions: Sessions) -> AsyncGenerator[Evidence]:
    """Evidence that is written while the block runs, and at its end."""
    evidence = Evidence(sessions)
    running = asyncio.create_task(evidence.run())
    try:
        yield evidence
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await evidence.flush()


async def _rows(session: AsyncSession, lines: list[_Line]) -> list[dict[str, Any]]:
    """The trace's rows; lines of passes that do not exist are left out."""
    serials = {line.subject for line in lines if line.owner is None}
    known: dict[str, tuple[str, str]] = {}
    if serials:
        query = select(Pass.serial_number, Pass.program_id, Pass.id).where(Pass.serial_number.in_(serials))
        known = {row.serial_number: (row.program_id, row.id) for row in await session.execute(query)}
    rows: list[dict[str, Any]] = []
    for line in lines:
        owner = line.owner or known.get(line.subject)
        if owner is None:
            continue
        rows.append(
            {
                "id": line.id,
                "program_id": owner[0],
                "pass_id": owner[1],
                "kind": line.kind,
                "version": line.version,
                "details": dict(line.details),
                "at": line.at,
            }
        )
    return rows


async def _tell_others(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    lines = [
        trace.Line(row["program_id"], row["pass_id"], row["kind"], row["version"], row["details"])
        for row in rows
    ]
    await trace.tell_others(session, lines, now=rows[-1]["at"])


_SEEN = text("UPDATE registrations SET seen_at = :at WHERE device_library_identifier = :device").bindparams(
    bindparam("at", type_=UtcDateTime())
)


async def _mark_seen(session: AsyncSession, seen: Mapping[str, datetime]) -> None:
    # Sorted, so that two processes take the rows' locks in one order.
    await session.execute(_SEEN, [{"device": device, "at": seen[device]} for device in sorted(seen)])
