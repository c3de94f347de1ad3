"""Putting work into the caller's own transaction: the job exists exactly if its cause does."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

JsonScalar = str | int | float | bool | None

_ENQUEUED = "app.job_queue.enqueued"  # key in Session.info: the database whose worker to wake at commit
_wakers: dict[str, set[Callable[[], None]]] = {}

_POSTGRES = text(
    "INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, status) "
    "SELECT :priority, :kind, payload, coalesce(CAST(:run_at AS timestamptz), now()), 'queued' "
    "FROM unnest(CAST(:payloads AS bytea[])) WITH ORDINALITY AS given (payload, place) ORDER BY place"
)
_SQLITE = (
    "INSERT INTO pgqueuer "
    "(priority, entrypoint, payload, created, updated, heartbeat, execute_after, status) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 'queued')"
)


class NotInTransaction(Exception):
    """The session's connection commits every statement by itself: the job would outlive a rollback."""


async def enqueue(
    session: AsyncSession,
    kind: str,
    args: Mapping[str, JsonScalar],
    *,
    priority: int = 0,
    run_at: datetime | None = None,
) -> None:
    """Add a job to the session's transaction: a rollback takes it back, the commit hands it to a worker.

    Higher `priority` runs first; equal ones run in the order they came. `run_at` (aware) is by the
    database's clock; None is at once.

    Raises NotInTransaction on a connection in autocommit mode.
    """
    await enqueue_many(session, kind, [args], priority=priority, run_at=run_at)


async def enqueue_many(
    session: AsyncSession,
    kind: str,
    args: Sequence[Mapping[str, JsonScalar]],
    *,
    priority: int = 0,
    run_at: datetime | None = None,
) -> None:
    """Add one job for each of `args`, in one statement; otherwise as `enqueue`."""
    if run_at is not None and run_at.tzinfo is None:
        raise ValueError(f"naive datetime {run_at!r}: give run_at a time zone")
    payloads = [orjson.dumps(dict(one)) for one in args]
    if not payloads:
        return
    connection = await session.connection()
    await _assert_in_transaction(connection)
    if connection.dialect.name == "postgresql":
        given = {"priority": priority, "kind": kind, "payloads": payloads, "run_at": run_at}
        await connection.execute(_POSTGRES, given)
        return
    now = time.time()
    due = now if run_at is None else run_at.timestamp()
    rows = [(priority, kind, payload, now, now, now, due) for payload in payloads]
    await connection.exec_driver_sql(_SQLITE, rows)
    await wake_at_commit(session)


async def _assert_in_transaction(connection: AsyncConnection) -> None:
    if _is_in_transaction(connection):
        return
    # asyncpg's BEGIN goes out with the first statement, which this one may be.
    await connection.execute(text("SELECT 1"))
    if not _is_in_transaction(connection):
        raise NotInTransaction("enqueue needs a transaction: open the session without AUTOCOMMIT")


def _is_in_transaction(connection: AsyncConnection) -> bool:
    sync_connection = connection.sync_connection
    assert sync_connection is not None
    driver: Any = sync_connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        return bool(driver.is_in_transaction())
    return bool(driver.in_transaction)


async def wake_at_commit(session: AsyncSession) -> None:
    """Wake this process's workers when the session commits (SQLite; PostgreSQL has a trigger for it)."""
    session.info[_ENQUEUED] = str((await session.connection()).engine.url.database)


def on_commit(database: str, wake: Callable[[], None]) -> None:
    """Call `wake` after every commit in this process that enqueued into this SQLite file."""
    _wakers.setdefault(database, set()).add(wake)


def no_longer_on_commit(database: str, wake: Callable[[], None]) -> None:
    """Undo `on_commit`."""
    _wakers[database].discard(wake)


@event.listens_for(Session, "after_commit")
def _wake_workers(session: Session) -> None:  # pyright: ignore[reportUnusedFunction]
    database = session.info.pop(_ENQUEUED, None)
    for wake in tuple(_wakers.get(database, ())):
        wake()
