"""Looking into the queue: what waits and how long, what is held for a person, and the daily tidying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    ColumnClause,
    CursorResult,
    Text,
    cast,
    column,
    delete,
    extract,
    func,
    select,
    table,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.job_queue.enqueue import JsonScalar, wake_at_commit

LOG_KEPT = timedelta(days=7)
PRUNED_AT_ONCE = 5000

_STATES = {"queued": "queued", "picked": "running", "failed": "held"}  # PgQueuer's words and ours


def _columns(*names: str) -> list[ColumnClause[Any]]:
    return [column(name) for name in names]


_jobs = table(
    "pgqueuer", *_columns("id", "entrypoint", "status", "payload", "attempts", "execute_after", "updated")
)
_log = table("pgqueuer_log", *_columns("id", "job_id", "created", "traceback"))
_statistics = table("pgqueuer_statistics", *_columns("created"))


@dataclass(frozen=True)
class QueueStats:
    """How many jobs of a kind are in a state, and for how long the oldest of them has been due."""

    kind: str
    state: str  # queued | running | held
    count: int
    oldest_seconds: float  # zero when none is due yet


@dataclass(frozen=True)
class HeldJob:
    """A job that failed for good and waits for a person: fix the cause, then `requeue` it."""

    id: int
    kind: str
    args: Mapping[str, JsonScalar]
    attempts: int
    held_at: datetime
    error: str  # "PermanentFailure: APNs: 403 InvalidProviderToken"


async def stats(session: AsyncSession) -> list[QueueStats]:
    """One line per kind and state in which there are jobs."""
    now = datetime.now(UTC).timestamp()
    status = cast(_jobs.c.status, Text)
    query = select(
        _jobs.c.entrypoint, status, func.count(), func.min(_seconds(session, _jobs.c.execute_after))
    )
    rows = await session.execute(
        query.group_by(_jobs.c.entrypoint, status).order_by(_jobs.c.entrypoint, status)
    )
    return [
        QueueStats(kind, _STATES[state], count, max(now - float(due), 0.0))
        for kind, state, count, due in rows
    ]


async def held(session: AsyncSession, *, limit: int = 100) -> list[HeldJob]:
    """The newest held jobs, newest first."""
    updated = _seconds(session, _jobs.c.updated)
    query = (
        select(_jobs.c.id, _jobs.c.entrypoint, _jobs.c.payload, _jobs.c.attempts, updated)
        .where(_is(_jobs.c.status, "failed"))
        .order_by(updated.desc(), _jobs.c.id.desc())
        .limit(limit)
    )
    rows = (await session.execute(query)).all()
    errors = await _last_errors(session, [row[0] for row in rows])
    return [
        HeldJob(
            id=id_,
            kind=kind,
            args=orjson.loads(payload),
            attempts=attempts + 1,
            held_at=datetime.fromtimestamp(float(at), UTC),
            error=errors.get(id_, ""),
        )
        for id_, kind, payload, attempts, at in rows
    ]


async def _last_errors(session: AsyncSession, ids: Sequence[int]) -> dict[int, str]:
    query = (
        select(_log.c.job_id, cast(_log.c.traceback, Text))
        .where(_log.c.job_id.in_(ids), _log.c.traceback.is_not(None))
        .order_by(_log.c.id)
    )
    records = {job_id: orjson.loads(record) for job_id, record in await session.execute(query)}
    return {
        id_: f"{record['exception_type']}: {record['exception_message']}" for id_, record in records.items()
    }


async def requeue(session: AsyncSession, ids: Sequence[int]) -> int:
    """Give held jobs all their attempts again, at once; return how many of `ids` were held."""
    now = datetime.now(UTC)
    at = now if _is_postgres(session) else now.timestamp()
    query = (
        update(_jobs)
        .where(_jobs.c.id.in_(ids), _is(_jobs.c.status, "failed"))
        .values(status="queued", attempts=0, execute_after=at, updated=at)
    )
    result = await session.execute(query)
    await wake_at_commit(session)
    return _rowcount(result)


async def prune_log(
    session: AsyncSession, *, older_than: timedelta = LOG_KEPT, limit: int = PRUNED_AT_ONCE
) -> int:
    """Forget what the queue wrote down about jobs before then, the oldest first; held jobs keep their errors.

    Returns how many lines went: with less than `limit`, none is left. Workers do this every night.
    """
    before = datetime.now(UTC) - older_than
    cutoff = before if _is_postgres(session) else before.timestamp()
    still_held = select(_jobs.c.id).where(_is(_jobs.c.status, "failed"))
    result = await session.execute(
        delete(_log).where(
            _log.c.id.in_(
                select(_log.c.id)
                .where(_log.c.created < cutoff, _log.c.job_id.not_in(still_held))
                .order_by(_log.c.id)
                .limit(limit)
            )
        )
    )
    if _is_postgres(session):
        await session.execute(delete(_statistics).where(_statistics.c.created < cutoff))
    return _rowcount(result)


def _is_postgres(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _seconds(session: AsyncSession, at: Any) -> Any:
    """A time column as seconds since 1970, which is what SQLite's are."""
    return extract("epoch", at) if _is_postgres(session) else at


def _is(status: Any, value: str) -> Any:
    return cast(status, Text) == value  # an enum on PostgreSQL, text on SQLite


def _rowcount(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount
