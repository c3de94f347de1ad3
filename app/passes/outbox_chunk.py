"""The outbox, many passes at a time: what a campaign changed is read, told, and noted, in a few statements.

Apple's wallet only. A chunk takes no lease, so a phone costs one write instead of three: two workers may tell
one pass twice, which its phones do not show, and whoever comes second writes nothing. What is told by a job
of its own is left to that job: a purchase, or a phone that registered meanwhile.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Json, UtcDateTime
from app.job_queue import kinds
from app.passes import devices, trace
from app.passes.devices import PushAnswer
from app.passes.outbox import Target
from app.passes.versions import APPLE, enqueue_updates
from app.sql import typed_text


@dataclass(frozen=True)
class Owed:
    """What one pass of a chunk is owed: the version it must reach."""

    program_id: str
    version: int


@dataclass(frozen=True)
class Chunk:
    """Passes to be told of, and whom to tell: each token once, with the passes its device holds.

    `devices` are the names of those that have a token, in the stories of the passes. `busy_seconds` is how
    long another worker may hold some of the passes asked for; None if none does.
    """

    owed: Mapping[str, Owed]
    holders: Mapping[Target, tuple[str, ...]]
    devices: Mapping[Target, frozenset[str]]
    busy_seconds: float | None

    def passes_of(self, targets: Sequence[Target]) -> list[str]:
        """The passes that any of these hold, in order."""
        return sorted({pass_id for target in targets for pass_id in self.holders[target]})

    def without(self, deferred: Collection[str], silent: Collection[str]) -> "Chunk":
        """The same with nobody to tell for these passes; a deferred one is no more in it."""
        untold = {*deferred, *silent}
        holders = {
            target: tuple(each for each in pass_ids if each not in untold)
            for target, pass_ids in self.holders.items()
        }
        return replace(
            self,
            owed={pass_id: owed for pass_id, owed in self.owed.items() if pass_id not in deferred},
            holders={target: pass_ids for target, pass_ids in holders.items() if pass_ids},
        )


_TYPES = {"now": UtcDateTime(), "until": UtcDateTime(), "bulk": Integer(), "rows": Json()}
# Rows as one JSON value: the only list that both databases take as a parameter.
_ROWS = {
    "sqlite": "SELECT json_extract(value, '$[0]') AS pass_id, json_extract(value, '$[1]') AS version, "
    "json_extract(value, '$[2]') AS push_service, json_extract(value, '$[3]') AS push_token "
    "FROM json_each(:rows)",
    "postgresql": "SELECT value->>0 AS pass_id, CAST(value->>1 AS bigint) AS version, "
    "value->>2 AS push_service, value->>3 AS push_token FROM jsonb_array_elements(:rows)",
}
# SQLite has one writer. On PostgreSQL rows are locked in one order, or two chunks would wait for each other.
_LOCK = {"sqlite": "", "postgresql": " ORDER BY updates.pass_id FOR UPDATE OF updates"}
# Those of this version that no job of their own has: it would find them told, and tell nobody.
_MINE = f"""SELECT updates.pass_id, given.version FROM given JOIN updates ON updates.pass_id = given.pass_id
WHERE updates.wallet = '{APPLE}' AND updates.sent_version < given.version
  AND NOT (updates.queued AND updates.priority > :bulk)
  AND (updates.leased_until IS NULL OR updates.leased_until < :now)"""  # noqa: S608
_OF_MINE = f"FROM mine WHERE updates.wallet = '{APPLE}' AND updates.pass_id = mine.pass_id"


def _read(sql: str) -> dict[str, TextClause]:
    return {name: typed_text(f"WITH given AS ({rows}) {sql}", _TYPES) for name, rows in _ROWS.items()}


def _write(sql: str) -> dict[str, TextClause]:
    given = {name: f"WITH given AS ({rows}), mine AS ({_MINE}{_LOCK[name]})" for name, rows in _ROWS.items()}
    return {name: typed_text(f"{beginning} {sql} {_OF_MINE}", _TYPES) for name, beginning in given.items()}


# Targets, too, in one look: a phone that registers after it finds the pass not yet told (`devices.register`).
_OWED = {
    name: statement.columns(leased_until=UtcDateTime())
    for name, statement in _read(
        f"""SELECT updates.pass_id, updates.program_id, wanted_version, leased_until,
          held.push_service, held.push_token, device_library_identifier
        FROM given JOIN updates ON updates.pass_id = given.pass_id
          LEFT JOIN registrations held ON held.pass_id = updates.pass_id AND pushed_version < wanted_version
        WHERE updates.wallet = '{APPLE}' AND wanted_version > sent_version"""  # noqa: S608
    ).items()
}
_ACCEPT = _read(
    """UPDATE registrations SET pushed_version =
      CASE WHEN pushed_version > given.version THEN pushed_version ELSE given.version END
    FROM given WHERE registrations.pass_id = given.pass_id
      AND registrations.push_service = given.push_service AND registrations.push_token = given.push_token"""
)
_SENT = {
    name: typed_text(f"{statement.text} RETURNING updates.pass_id, queued", _TYPES)
    for name, statement in _write(
        """UPDATE updates SET attempts = 0, told_at = :now, sent_version = mine.version,
          queued = queued AND wanted_version > mine.version"""
    ).items()
}
_FAILED = _write("UPDATE updates SET queued = true, attempts = attempts + 1, touched_at = :now")
# The sweep looks for silence: these are silent on purpose, until then.
_DEFER = _write("UPDATE updates SET queued = true, touched_at = :until")


async def read(session: AsyncSession, pass_ids: Sequence[str], *, now: datetime) -> Chunk:
    """What of these passes is owed something, and whom to tell. What another worker holds is left to it."""
    rows = await session.execute(
        _OWED[session.get_bind().dialect.name], {"rows": [[pass_id] for pass_id in pass_ids]}
    )
    owed: dict[str, Owed] = {}
    holders: dict[Target, tuple[str, ...]] = {}
    names: dict[Target, frozenset[str]] = {}
    busy: list[datetime] = []
    for row in rows:
        if row.leased_until is not None and row.leased_until >= now:
            busy.append(row.leased_until)
            continue
        owed[row.pass_id] = Owed(row.program_id, row.wanted_version)
        if row.push_token is None:
            continue
        target = Target(row.push_service, row.push_token)
        held = holders.get(target, ())
        holders[target] = held if row.pass_id in held else (*held, row.pass_id)
        names[target] = names.get(target, frozenset()) | {devices.short(row.device_library_identifier)}
    seconds = max((until - now).total_seconds() for until in busy) if busy else None
    return Chunk(owed, holders, names, seconds)


async def record_accepted(
    session: AsyncSession,
    chunk: Chunk,
    answers: Mapping[Target, PushAnswer],
    failed: Collection[str],
    *,
    sent_at: datetime,
) -> None:
    """Note whom the push service told in every pass's story.

    And of the passes that `failed`, because another of their phones was not told, at the phone itself: the
    next try leaves it alone. Where all were told, `mark_sent` says so for all of them.
    """
    told = [(pass_id, target) for target in answers for pass_id in chunk.holders[target]]
    rows = [
        [pass_id, chunk.owed[pass_id].version, target.push_service, target.push_token]
        for pass_id, target in sorted(told, key=lambda each: (each[0], each[1].push_token))
        if pass_id in failed
    ]
    if rows:
        await session.execute(_ACCEPT[session.get_bind().dialect.name], {"rows": rows})
    lines = [
        trace.Line(
            program_id=chunk.owed[pass_id].program_id,
            pass_id=pass_id,
            kind=trace.PUSH_ACCEPTED,
            version=chunk.owed[pass_id].version,
            details={
                "apns_id": answers[target].apns_id,
                "device": ", ".join(sorted(chunk.devices[target])),
            },
        )
        for pass_id, target in told
    ]
    await trace.record_lines(session, lines, now=sent_at)


async def mark_sent(session: AsyncSession, chunk: Chunk, pass_ids: Sequence[str], *, now: datetime) -> None:
    """All phones of these passes were told; what another campaign changed meanwhile gets a job again."""
    if not pass_ids:
        return
    marked = await session.execute(*_note(session, _SENT, chunk, pass_ids, now=now))
    again = [(row.pass_id, APPLE) for row in marked if row.queued]
    await enqueue_updates(session, again, priority=kinds.BULK)


async def mark_failed(session: AsyncSession, chunk: Chunk, pass_ids: Sequence[str], *, now: datetime) -> None:
    """Some phones of these passes could not be told; the job comes back and reads the newest version."""
    if pass_ids:
        await session.execute(*_note(session, _FAILED, chunk, pass_ids, now=now))


async def defer(
    session: AsyncSession, chunk: Chunk, pass_ids: Sequence[str], *, until: datetime, now: datetime
) -> None:
    """Leave these untold; the job of the caller comes back for them. A purchase does not wait for it."""
    await session.execute(*_note(session, _DEFER, chunk, pass_ids, until=until, now=now))


def _note(
    session: AsyncSession,
    statements: Mapping[str, TextClause],
    chunk: Chunk,
    pass_ids: Sequence[str],
    **moments: datetime,
) -> tuple[TextClause, dict[str, Any]]:
    rows = [[pass_id, chunk.owed[pass_id].version] for pass_id in pass_ids]
    return statements[session.get_bind().dialect.name], {"rows": rows, "bulk": kinds.BULK, **moments}
