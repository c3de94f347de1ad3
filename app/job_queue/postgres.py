"""The queue on PostgreSQL: PgQueuer as it is, on a small connection pool of its own."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

# asyncpg has no types of its own.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
import asyncpg
from pgqueuer import Queries
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job, TracebackRecord
from pgqueuer.ports.driver import NotifyCallback
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import DATABASE_AWAY
from app.job_queue.queue import Queue

LISTEN_POLL_SECONDS = 2.0  # a notification lost with its connection costs so much
POLL_SECONDS = 0.2
POOL_SIZE_MAX = 4
CLOSE_SECONDS = 2.0

_TRIGGER_IS_ON = (
    "SELECT tgenabled <> 'D' FROM pg_trigger "
    "WHERE tgname = 'tg_pgqueuer_changed' AND tgrelid = 'pgqueuer'::regclass"
)


class PollingDriver(AsyncpgPoolDriver):
    """PgQueuer's driver without LISTEN: notifications reach this process only.

    The runtime's own health check sends itself one, so they must arrive somewhere.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self._callbacks: defaultdict[str, list[NotifyCallback]] = defaultdict(list)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        self._callbacks[channel].append(callback)

    async def remove_listener(self, channel: str, callback: NotifyCallback) -> None:
        self._callbacks[channel].remove(callback)

    async def notify(self, channel: str, payload: str) -> None:
        for callback in self._callbacks[channel]:
            callback(payload)


class PatientQueries(Queries):
    """PgQueuer's statements; a job whose next try cannot be written down stays where it is.

    PgQueuer would put it on hold, to be written when the database is back, and nobody would try it again. So
    it is left as picked, and runs elsewhere when its heartbeat is too old.
    """

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        try:
            await super().retry_job(job, delay, traceback_record)
        except DATABASE_AWAY as error:
            raise asyncio.CancelledError("the database went away") from error


@asynccontextmanager
async def open_queue(engine: AsyncEngine, *, listen: bool) -> AsyncGenerator[Queue]:
    """The queue in the engine's database, woken by NOTIFY (`listen`) or found by polling."""
    dsn = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    pool = await asyncpg.create_pool(
        dsn, min_size=2, max_size=POOL_SIZE_MAX, server_settings={"application_name": "passbell-worker"}
    )
    try:
        await _switch_trigger(pool, on=listen)
        driver = AsyncpgPoolDriver(pool) if listen else PollingDriver(pool)
        yield Queue(PatientQueries(driver), LISTEN_POLL_SECONDS if listen else POLL_SECONDS)
    finally:
        # PgQueuer does not give back a listening connection that was lost, and close() waits for it for ever.
        # When its time is up, asyncpg terminates the pool.
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), CLOSE_SECONDS)


async def _switch_trigger(pool: asyncpg.Pool, *, on: bool) -> None:
    """Make inserts NOTIFY, or not: the writers know nothing of how workers wake."""
    # ALTER TABLE waits for every open transaction that enqueued, so not without need.
    if await pool.fetchval(_TRIGGER_IS_ON) is not on:
        verb = "ENABLE" if on else "DISABLE"
        await pool.execute(f"ALTER TABLE pgqueuer {verb} TRIGGER tg_pgqueuer_changed")
