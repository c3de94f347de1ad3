"""Putting work into the caller's own transaction: the job exists exactly if its cause does."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from app.sqlite_driver import Turn

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


def enqueue_sql(kind: str, args: str, rows: str) -> str:
    """An INSERT of one job for each of some rows, to stand in a larger statement of PostgreSQL's.

    All three are SQL: `kind` and `args` (JSON text) are expressions over the columns of `rows`, which is what
    may follow FROM, constants of the program. `:priority` is the statement's.
    """
    into = "pgqueuer (priority, entrypoint, payload, execute_after, status)"
    columns = f":priority, {kind}, convert_to({args}, 'UTF8'), now(), 'queued'"
    return f"INSERT INTO {into} SELECT {columns} FROM {rows}"  # noqa: S608


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
    await connection.exec_driver_sql(_SQLITE, _rows(kind, payloads, priority, run_at))
    await wake_at_commit(session)


def enqueue_in(turn: Turn, kind: str, args: Sequence[Mapping[str, JsonScalar]], *, priority: int) -> None:
    """The same in a transaction without a session (SQLite). After it, the caller calls `wake`."""
    for row in _rows(kind, [orjson.dumps(dict(one)) for one in args], priority, None):
        turn.execute(_SQLITE, row)


def _rows(
    kind: str, payloads: Sequence[bytes], priority: int, run_at: datetime | None
) -> list[tuple[Any, ...]]:
    now = time.time()
    due = now if run_at is None else run_at.timestamp()
    return [(priority, kind, payload, now, now, now, due) for payload in payloads]


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


def wake(engine: AsyncEngine) -> None:
    """Wake this process's workers on an engine's SQLite file: a commit has just enqueued there."""
    _wake(str(engine.url.database))


@event.listens_for(Session, "after_commit")
def _wake_workers(session: Session) -> None:  # pyright: ignore[reportUnusedFunction]
    if (database := session.info.pop(_ENQUEUED, None)) is not None:
        _wake(database)


def _wake(database: str) -> None:
    for wake_worker in tuple(_wakers.get(database, ())):
        wake_worker()
