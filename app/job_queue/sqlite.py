"""The queue on SQLite: PgQueuer's runtime over a repository of ours, in the program's own database file.

Only what the runtime calls is here. Times are seconds since 1970. The log keeps failures, not successes:
every row written is a row synced to disk.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pgqueuer.adapters.inmemory.driver import InMemoryDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.domain.types import (
    JOB_STATUS,
    HealthCheckId,
    JobId,
    QueueEntrypoint,
    ScheduleId,
)
from pgqueuer.models import (
    CronExpressionEntrypoint,
    HealthCheckEvent,
    Job,
    Schedule,
    TableChangedEvent,
    TracebackRecord,
)
from pgqueuer.ports import RepositoryPort
from pgqueuer.ports.repository import EntrypointExecutionParameter
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db import open_read_engine
from app.job_queue.enqueue import no_longer_on_commit, on_commit
from app.job_queue.queue import Queue

POLL_SECONDS = 0.2  # how soon another process's job is found; this process's commits wake at once
SCHEDULE_STALE_SECONDS = 30.0  # PgQueuer's own number: a cron function whose worker died runs again

_ANY_WORK = """
SELECT EXISTS (SELECT 1 FROM pgqueuer WHERE status = 'queued' AND execute_after <= :now)
    OR EXISTS (SELECT 1 FROM pgqueuer WHERE status = 'picked' AND heartbeat < :stale)
"""
_DUE = """
SELECT id, priority FROM pgqueuer
WHERE entrypoint = ? AND status = 'queued' AND execute_after <= ?
ORDER BY priority DESC, id LIMIT ?
"""
_STALE = """
SELECT id, priority FROM pgqueuer
WHERE status = 'picked' AND heartbeat < ? AND entrypoint IN (SELECT value FROM json_each(?))
ORDER BY priority DESC, id LIMIT ?
"""
_CLAIM = """
UPDATE pgqueuer SET status = 'picked', updated = ?, heartbeat = ?, queue_manager_id = ?
WHERE id IN (SELECT value FROM json_each(?)) RETURNING *
"""
_LOG = """
INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint, traceback) VALUES (?, ?, ?, ?, ?, ?)
"""
_FETCH_SCHEDULE = """
UPDATE pgqueuer_schedules SET status = 'picked', updated = :now, heartbeat = :now, next_run = :next_run
WHERE expression = :expression AND entrypoint = :entrypoint
  AND ((status = 'queued' AND next_run <= :now) OR (status = 'picked' AND heartbeat < :stale))
RETURNING *
"""
_INSERT_SCHEDULE = """
INSERT INTO pgqueuer_schedules (expression, entrypoint, heartbeat, created, updated, next_run, status)
VALUES (:expression, :entrypoint, :now, :now, :now, :next_run, 'queued')
ON CONFLICT (expression, entrypoint) DO NOTHING
"""


@asynccontextmanager
async def open_queue(engine: AsyncEngine) -> AsyncGenerator[Queue]:
    """The queue in the engine's database file, woken by every commit of this process that enqueues."""
    reader = open_read_engine(engine.url.render_as_string(hide_password=False))
    queries = SqliteQueries(engine, reader)
    database = str(engine.url.database)
    on_commit(database, queries.wake)
    try:
        yield Queue(cast(RepositoryPort, queries), POLL_SECONDS)
    finally:
        no_longer_on_commit(database, queries.wake)
        await reader.dispose()


class LocalDriver(InMemoryDriver):
    """Notifications within this process, without waiting: a commit's listener is a plain function."""

    def tell(self, channel: str, payload: str) -> None:
        for callback in self._listeners.get(channel, ()):
            callback(payload)


class SqliteQueries:
    """PgQueuer's repository on SQLite. Claims are exact: SQLite runs one writing transaction at a time."""

    def __init__(self, engine: AsyncEngine, reader: AsyncEngine) -> None:
        self.driver = LocalDriver()
        self.qbe = QueryBuilderEnvironment()
        self._engine = engine
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._is_waking = False

    # Waking

    def wake(self) -> None:
        """Make the runtime look for work soon. Many calls in one turn of the loop make one."""
        if not self._is_waking:
            self._is_waking = True
            self._loop.call_soon(self._wake_now)

    def _wake_now(self) -> None:
        self._is_waking = False
        event = TableChangedEvent(
            channel=self.qbe.settings.channel,
            operation="insert",
            sent_at=datetime.now(UTC),
            table=self.qbe.settings.queue_table,
            type="table_changed_event",
        )
        self.driver.tell(self.qbe.settings.channel, event.model_dump_json())

    async def notify_health_check(self, health_check_event_id: HealthCheckId) -> None:
        event = HealthCheckEvent(
            channel=self.qbe.settings.channel,
            sent_at=datetime.now(UTC),
            type="health_check_event",
            id=health_check_event_id,
        )
        await self.driver.notify(self.qbe.settings.channel, event.model_dump_json())

    # What the runtime checks at start: the migration made the tables, so one question is enough

    async def has_table(self, table: str) -> bool:
        await self._read_one("SELECT EXISTS (SELECT 1 FROM pgqueuer)")  # no such table: not migrated yet
        return True

    async def table_has_column(self, table: str, column: str) -> bool:
        return True

    async def table_has_index(self, table: str, index: str) -> bool:
        return True

    async def has_user_defined_enum(self, key: str, enum: str) -> bool:
        return True

    # Jobs

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: uuid.UUID,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        now = time.time()
        stale = now - heartbeat_timeout.total_seconds()
        # An idle worker looks five times a second: it must not take the one write lock to find nothing.
        if not await self._read_one(_ANY_WORK, now=now, stale=stale):
            return []
        async with self._engine.begin() as connection:
            room = await _room(connection, batch_size, queue_manager_id, global_concurrency_limit)
            candidates: list[tuple[int, int]] = []
            for kind, parameters in entrypoints.items():
                free = min(room, await _free_seats(connection, kind, parameters.concurrency_limit, room))
                if free > 0:
                    candidates += await _fetch(connection, _DUE, kind, now, free)
            candidates += await _fetch(connection, _STALE, stale, json.dumps(list(entrypoints)), room)
            chosen = [id_ for id_, _ in sorted(candidates, key=_by_urgency)[:room]]
            if not chosen:
                return []
            claim = (now, now, str(queue_manager_id), json.dumps(chosen))
            result = await connection.exec_driver_sql(_CLAIM, claim)
            jobs = [Job.model_validate(dict(row)) for row in result.mappings()]
        return sorted(jobs, key=lambda job: (-job.priority, job.id))

    async def log_jobs(self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]) -> None:
        now = time.time()
        held = [int(job.id) for job, status, _ in job_status if status == "failed"]
        done = [int(job.id) for job, status, _ in job_status if status != "failed"]
        failures = [
            _log_row(now, job, status, error) for job, status, error in job_status if error is not None
        ]
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(
                "DELETE FROM pgqueuer WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(done),)
            )
            await connection.exec_driver_sql(
                "UPDATE pgqueuer SET status = 'failed', updated = ?, queue_manager_id = NULL "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (now, json.dumps(held)),
            )
            if failures:
                await connection.exec_driver_sql(_LOG, failures)
        self.wake()  # a seat under a concurrency limit may have become free

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        now = time.time()
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(
                "UPDATE pgqueuer SET status = 'queued', execute_after = ?, attempts = attempts + 1, "
                "updated = ?, queue_manager_id = NULL WHERE id = ?",
                (now + delay.total_seconds(), now, int(job.id)),
            )
            await connection.exec_driver_sql(_LOG, _log_row(now, job, "queued", traceback_record))
        self.wake()

    async def update_heartbeat(self, job_ids: list[JobId]) -> None:
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(
                "UPDATE pgqueuer SET heartbeat = ? WHERE id IN (SELECT value FROM json_each(?))",
                (time.time(), json.dumps([int(id_) for id_ in set(job_ids)])),
            )

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await self._count_queued(entrypoints, due_before=float("inf"))

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await self._count_queued(entrypoints, due_before=time.time())

    async def _count_queued(self, entrypoints: list[QueueEntrypoint], *, due_before: float) -> int:
        # The runtime only asks whether it is above zero.
        return await self._read_one(
            "SELECT EXISTS (SELECT 1 FROM pgqueuer WHERE status = 'queued' AND execute_after <= :due "
            "AND entrypoint IN (SELECT value FROM json_each(:kinds)))",
            due=min(due_before, 1e18),
            kinds=json.dumps(entrypoints),
        )

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        now = time.time()
        due = await self._read_one(
            "SELECT min(execute_after) FROM pgqueuer WHERE status = 'queued' AND execute_after > :now "
            "AND entrypoint IN (SELECT value FROM json_each(:kinds))",
            now=now,
            kinds=json.dumps(entrypoints),
        )
        return None if due is None else timedelta(seconds=due - now)

    async def aggregate_logs(self) -> None:
        """Nothing: successes are not logged here, so there is nothing to count up."""

    # Cron

    async def insert_schedule(self, schedules: dict[CronExpressionEntrypoint, timedelta]) -> None:
        now = time.time()
        async with self._engine.begin() as connection:
            for key, delay in schedules.items():
                await connection.exec_driver_sql(_INSERT_SCHEDULE, _schedule_row(key, delay, now))

    async def fetch_schedule(self, entrypoints: dict[CronExpressionEntrypoint, timedelta]) -> list[Schedule]:
        now = time.time()
        if not await self._read_one(
            "SELECT EXISTS (SELECT 1 FROM pgqueuer_schedules WHERE next_run <= :now OR status = 'picked')",
            now=now,
        ):
            return []
        due: list[Schedule] = []
        async with self._engine.begin() as connection:
            for key, delay in entrypoints.items():
                row = _schedule_row(key, delay, now) | {"stale": now - SCHEDULE_STALE_SECONDS}
                result = await connection.exec_driver_sql(_FETCH_SCHEDULE, row)
                due += [Schedule.model_validate(dict(found)) for found in result.mappings()]
        return due

    async def set_schedule_queued(self, ids: set[ScheduleId]) -> None:
        now = time.time()
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(
                "UPDATE pgqueuer_schedules SET status = 'queued', last_run = ?, updated = ? "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (now, now, json.dumps([int(id_) for id_ in ids])),
            )

    async def update_schedule_heartbeat(self, ids: set[ScheduleId]) -> None:
        now = time.time()
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(
                "UPDATE pgqueuer_schedules SET heartbeat = ?, updated = ? "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (now, now, json.dumps([int(id_) for id_ in ids])),
            )

    async def _read_one(self, sql: str, **parameters: Any) -> Any:
        async with self._reader.connect() as connection:
            return (await connection.exec_driver_sql(sql, parameters)).scalar()


async def _room(
    connection: AsyncConnection, batch_size: int, worker: uuid.UUID, concurrency: int | None
) -> int:
    """How many jobs this worker may still take."""
    if concurrency is None:
        return batch_size
    sql = "SELECT count(*) FROM pgqueuer WHERE status = 'picked' AND queue_manager_id = ?"
    picked: int = (await connection.exec_driver_sql(sql, (str(worker),))).scalar_one()
    return max(min(batch_size, concurrency - picked), 0)


async def _free_seats(connection: AsyncConnection, kind: str, concurrency_limit: int, otherwise: int) -> int:
    """How many more jobs of a kind may run, over all workers; `otherwise` for a kind without a limit."""
    if concurrency_limit <= 0:
        return otherwise
    sql = "SELECT count(*) FROM pgqueuer WHERE status = 'picked' AND entrypoint = ?"
    picked: int = (await connection.exec_driver_sql(sql, (kind,))).scalar_one()
    return concurrency_limit - picked


async def _fetch(connection: AsyncConnection, sql: str, *parameters: Any) -> list[tuple[int, int]]:
    return [(row.id, row.priority) for row in await connection.exec_driver_sql(sql, parameters)]


def _by_urgency(candidate: tuple[int, int]) -> tuple[int, int]:
    id_, priority = candidate
    return -priority, id_


def _log_row(now: float, job: Job, status: str, error: TracebackRecord | None) -> tuple[Any, ...]:
    traceback = None if error is None else error.model_dump_json()
    return (now, int(job.id), status, job.priority, job.entrypoint, traceback)


def _schedule_row(key: CronExpressionEntrypoint, delay: timedelta, now: float) -> dict[str, Any]:
    next_run = int(now + delay.total_seconds())
    return {"expression": key.expression, "entrypoint": key.entrypoint, "now": now, "next_run": next_run}
