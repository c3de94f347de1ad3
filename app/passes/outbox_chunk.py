"""The outbox, many passes at a time: what a campaign changed is taken, and noted, in a few statements.

Apple's wallet only. The rules are those of `outbox.py`, row by row: a pass may be in a chunk and in a job of
its own, and whoever comes second finds it taken or told.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Json, UtcDateTime
from app.job_queue import kinds
from app.passes import devices, trace
from app.passes.devices import PushAnswer
from app.passes.outbox import Target
from app.passes.versions import APPLE, enqueue_updates
from app.sql import typed_text

# Longer than a chunk may take to send (12 s) and to write down: so long do a dead worker's passes wait.
LEASE = timedelta(seconds=20)


@dataclass(frozen=True)
class Owed:
    """What one pass of a chunk is owed: the version it must reach."""

    program_id: str
    version: int


@dataclass(frozen=True)
class Chunk:
    """Passes taken for telling, and whom to tell: each token once, with the passes its device holds.

    `busy_seconds` is how long another worker may hold some of the passes asked for; None if none does.
    `leased_until` proves that they are still ours.
    """

    owed: Mapping[str, Owed]
    holders: Mapping[Target, tuple[str, ...]]
    busy_seconds: float | None
    leased_until: datetime

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


_TYPES = {"now": UtcDateTime(), "until": UtcDateTime(), "mine": UtcDateTime(), "rows": Json()}
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


def _by_database(sql: str) -> dict[str, TextClause]:
    given = {name: f"WITH given AS ({rows}), mine AS ({_MINE}{_LOCK[name]})" for name, rows in _ROWS.items()}
    return {name: typed_text(f"{beginning} {sql}", _TYPES) for name, beginning in given.items()}


_MINE = f"""SELECT updates.pass_id, given.version FROM given JOIN updates ON updates.pass_id = given.pass_id
WHERE updates.wallet = '{APPLE}'"""  # noqa: S608
_OF_MINE = f"FROM mine WHERE updates.wallet = '{APPLE}' AND updates.pass_id = mine.pass_id"
_TAKE = {
    name: statement.columns(leased_until=UtcDateTime())
    for name, statement in _by_database(
        f"""UPDATE updates SET touched_at = :now,
          queued = coalesce(leased_until >= :now, false),
          leased_until = CASE WHEN leased_until >= :now THEN leased_until
            WHEN wanted_version > sent_version THEN :until END
        {_OF_MINE} AND (queued OR wanted_version > sent_version)
        RETURNING updates.pass_id, program_id, wanted_version, leased_until, queued"""  # noqa: S608
    ).items()
}
_TARGETS = {
    name: typed_text(
        f"""WITH given AS ({rows}) SELECT DISTINCT held.push_service, held.push_token, held.pass_id
        FROM registrations held JOIN given ON given.pass_id = held.pass_id
        WHERE held.pushed_version < given.version""",  # noqa: S608
        _TYPES,
    )
    for name, rows in _ROWS.items()
}
_ACCEPT = {
    name: typed_text(
        f"""WITH given AS ({rows}) UPDATE registrations SET pushed_version =
          CASE WHEN pushed_version > given.version THEN pushed_version ELSE given.version END
        FROM given WHERE registrations.pass_id = given.pass_id
          AND registrations.push_service = given.push_service AND registrations.push_token = given.push_token
        RETURNING registrations.pass_id, registrations.push_token, device_library_identifier""",  # noqa: S608
        _TYPES,
    )
    for name, rows in _ROWS.items()
}
_SENT = _by_database(
    f"""UPDATE updates SET attempts = 0, leased_until = NULL, told_at = :now,
      sent_version = CASE WHEN queued THEN sent_version ELSE mine.version END
    {_OF_MINE} AND leased_until = :mine AND sent_version < mine.version
    RETURNING updates.pass_id, queued"""  # noqa: S608
)
_FAILED = _by_database(
    f"""UPDATE updates SET queued = true, attempts = attempts + 1, leased_until = NULL, touched_at = :now
    {_OF_MINE} AND leased_until = :mine"""  # noqa: S608
)
# The sweep looks for silence: these are silent on purpose, until then.
_DEFER = _by_database(
    f"""UPDATE updates SET queued = true, leased_until = NULL, touched_at = :until
    {_OF_MINE} AND leased_until = :mine"""  # noqa: S608
)


async def take(session: AsyncSession, pass_ids: Sequence[str], *, now: datetime) -> Chunk:
    """Take what of these passes is owed something and is free, for as long as LEASE.

    What another worker holds is asked for again when it is done, as `outbox.take` does.
    """
    name = session.get_bind().dialect.name
    until = now + LEASE
    values = {"rows": [[pass_id] for pass_id in pass_ids], "now": now, "until": until}
    rows = (await session.execute(_TAKE[name], values)).all()
    # Those held elsewhere were queued again instead.
    owed = {
        row.pass_id: Owed(row.program_id, row.wanted_version)
        for row in rows
        if row.leased_until is not None and not row.queued
    }
    busy = [row.leased_until for row in rows if row.queued]
    holders: dict[Target, tuple[str, ...]] = {}
    if owed:
        versions = {"rows": [[pass_id, each.version] for pass_id, each in owed.items()]}
        for row in await session.execute(_TARGETS[name], versions):
            target = Target(row.push_service, row.push_token)
            holders[target] = (*holders.get(target, ()), row.pass_id)
    seconds = max((held - now).total_seconds() for held in busy) if busy else None
    return Chunk(owed, holders, seconds, until)


async def record_accepted(
    session: AsyncSession, chunk: Chunk, answers: Mapping[Target, PushAnswer], *, sent_at: datetime
) -> None:
    """Note whom the push service told, and that in every pass's story."""
    if not answers:
        return
    told = [(pass_id, target) for target in answers for pass_id in chunk.holders[target]]
    rows = [
        [pass_id, chunk.owed[pass_id].version, target.push_service, target.push_token]
        for pass_id, target in sorted(told, key=lambda each: (each[0], each[1].push_token))
    ]
    registrations = await session.execute(_ACCEPT[session.get_bind().dialect.name], {"rows": rows})
    names: dict[tuple[str, str], list[str]] = {}
    for row in registrations:
        device = devices.short(row.device_library_identifier)
        names.setdefault((row.pass_id, row.push_token), []).append(device)
    await trace.record_lines(
        session,
        [
            trace.Line(
                program_id=chunk.owed[pass_id].program_id,
                pass_id=pass_id,
                kind=trace.PUSH_ACCEPTED,
                version=chunk.owed[pass_id].version,
                details={
                    "apns_id": answers[target].apns_id,
                    "device": ", ".join(sorted(names.get((pass_id, target.push_token), []))),
                },
            )
            for pass_id, target in told
        ],
        now=sent_at,
    )


async def mark_sent(session: AsyncSession, chunk: Chunk, pass_ids: Sequence[str], *, now: datetime) -> None:
    """All phones of these passes were told; what is wanted again meanwhile gets a job, as in `outbox`."""
    if not pass_ids:
        return
    rows = [[pass_id, chunk.owed[pass_id].version] for pass_id in pass_ids]
    values = {"rows": rows, "mine": chunk.leased_until, "now": now}
    marked = await session.execute(_SENT[session.get_bind().dialect.name], values)
    again = [(row.pass_id, APPLE) for row in marked if row.queued]
    await enqueue_updates(session, again, priority=kinds.LIVE)


async def mark_failed(session: AsyncSession, chunk: Chunk, pass_ids: Sequence[str], *, now: datetime) -> None:
    """Some phones of these passes could not be told; the job comes back and reads the newest version."""
    if pass_ids:
        values = {"rows": [[pass_id] for pass_id in pass_ids], "mine": chunk.leased_until, "now": now}
        await session.execute(_FAILED[session.get_bind().dialect.name], values)


async def defer(session: AsyncSession, chunk: Chunk, pass_ids: Sequence[str], *, until: datetime) -> None:
    """Give these back untold; the job of the caller comes back for them. A purchase does not wait for it."""
    values = {"rows": [[pass_id] for pass_id in pass_ids], "mine": chunk.leased_until, "until": until}
    await session.execute(_DEFER[session.get_bind().dialect.name], values)
