"""The worker: handlers by kind of job, functions by the clock, and the loop that runs both.

PgQueuer does the queueing on either database; what it may do with a job that failed is decided here.
"""

import asyncio
import dataclasses
import functools
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import orjson
from pgqueuer import PgQueuer
from pgqueuer.errors import FailingListenerError, RetryRequested
from pgqueuer.executors import AbstractEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.models import Context, Job, Schedule
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import DATABASE_AWAY, open_sessions
from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import postgres, sqlite
from app.job_queue.enqueue import JsonScalar
from app.job_queue.held import PRUNED_AT_ONCE, prune_log
from app.job_queue.queue import Queue
from app.job_queue.retry import Retry

Handler = Callable[[Mapping[str, JsonScalar]], Awaitable[None]]
CronFunction = Callable[[], Awaitable[object]]
Wake = Literal["notify", "poll"]

NORMAL_RETRY = Retry()
BATCH = 20
RECONNECT_SECONDS = (0.2, 5.0)  # the first wait, and the longest
HANDED_BACK = "handed back: the worker stopped"
PRUNE_LOG_AT = "17 3 * * *"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registered:
    """A handler of one kind of job, and what becomes of a job that fails.

    The handler may run again for a job it has done: after a crash, or when recording its success failed. So
    it reads the state it must bring about, and does nothing where that is reached. TemporaryFailure and any
    unexpected exception mean again later, PermanentFailure means hold. `on_hold` runs before a job is held,
    with its arguments: so that whoever waits for it sees that nobody works at it any more.
    """

    handler: Handler
    retry: Retry = NORMAL_RETRY
    on_hold: Handler | None = None
    # At most so many at once, over all workers together. A seat is free again when the job's end is written
    # down, up to 0.1 s after it: so ten a second for each seat.
    concurrency_limit: int | None = None


@dataclass(frozen=True)
class Cron:
    """A function the clock starts, once per tick over all workers.

    `expression` is in UTC, "30 4 * * *"; a sixth field, where given, is seconds. A tick that no worker was
    there for is made up for once.
    """

    name: str
    expression: str
    function: CronFunction


async def run_worker(
    engine: AsyncEngine,
    handlers: Mapping[str, Registered],
    *,
    stop: asyncio.Event,
    crons: Sequence[Cron] = (),
    wake: Wake = "notify",
    concurrency: int = 100,
    heartbeat_seconds: float = 10.0,
    grace_seconds: float = 20.0,
) -> None:
    """Run jobs by kind until `stop` is set; then finish what runs, or hand it back after `grace_seconds`.

    Jobs of other kinds are left for workers that know them.

    `wake` is for PostgreSQL: "notify" wakes workers within milliseconds; "poll" looks five times a second,
    for busy installations, where NOTIFY would halve the commits of eight and more writers. All workers
    of a database use the same. On SQLite a commit in this process wakes at once, and a commit in another
    is found within a fifth of a second.
    A job whose worker died runs elsewhere after `heartbeat_seconds`. A database that goes away is waited for,
    and so is one that is not migrated yet.
    """
    pruning = Cron("prune_job_log", PRUNE_LOG_AT, functools.partial(_prune_log, engine))
    shortest, longest = RECONNECT_SECONDS
    wait = shortest
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        try:
            async with _open_queue(engine, wake) as queue:
                run = _Run(queue, handlers, (*crons, pruning), stop, grace_seconds)
                await run.until_stopped(concurrency, timedelta(seconds=heartbeat_seconds))
        except Exception as error:
            # The one broad catch: a worker that ended here would leave every job waiting. asyncpg, for one,
            # has errors of its own for a connection that is killed in the middle of a statement.
            is_known = isinstance(error, (*DATABASE_AWAY, FailingListenerError))
            log.warning("worker stopped, starting again: %s", error, exc_info=None if is_known else error)
            if asyncio.get_running_loop().time() - started > longest:
                wait = shortest
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(wait * 2, longest)


def _open_queue(engine: AsyncEngine, wake: Wake) -> AbstractAsyncContextManager[Queue]:
    if engine.dialect.name == "postgresql":
        return postgres.open_queue(engine, listen=wake == "notify")
    return sqlite.open_queue(engine)


class _Run:
    """One connected run of a worker."""

    def __init__(
        self,
        queue: Queue,
        handlers: Mapping[str, Registered],
        crons: Sequence[Cron],
        stop: asyncio.Event,
        grace_seconds: float,
    ) -> None:
        self._queue = queue
        self._stop = stop
        self._grace_seconds = grace_seconds
        self._running: set[asyncio.Task[object]] = set()
        self._handing_back = asyncio.Event()
        self._pgqueuer = PgQueuer(connection=queue.queries.driver, queries=queue.queries)
        for kind, registered in handlers.items():
            self._pgqueuer.qm.register_executor(kind, self._executor(registered))
        for cron in crons:
            self._pgqueuer.schedule(cron.name, cron.expression)(_scheduled(cron.function))

    def _executor(self, registered: Registered) -> "_Executor":
        parameters = EntrypointExecutorParameters(
            func=_never_called, concurrency_limit=registered.concurrency_limit or 0, on_failure="hold"
        )
        return _Executor(parameters, registered, self._running, self._handing_back)

    async def until_stopped(self, concurrency: int, heartbeat: timedelta) -> None:
        running = asyncio.create_task(
            self._pgqueuer.run(
                batch_size=BATCH,
                max_concurrent_tasks=max(concurrency, 2 * BATCH),
                dequeue_timeout=timedelta(seconds=self._queue.poll_seconds),
                heartbeat_timeout=heartbeat,
                shutdown_on_listener_failure=True,
            )
        )
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                self._pgqueuer.shutdown.set()
                await asyncio.wait({running}, timeout=self._grace_seconds)
        finally:
            stopping.cancel()
            self._pgqueuer.shutdown.set()
            self._hand_back()
            await asyncio.shield(running)

    def _hand_back(self) -> None:
        self._handing_back.set()
        for task in self._running:
            task.cancel()


@dataclasses.dataclass
class _Executor(AbstractEntrypointExecutor):
    """Runs one job, and says what becomes of it when it fails."""

    registered: Registered
    running: set[asyncio.Task[object]]
    handing_back: asyncio.Event

    async def execute(self, job: Job, context: Context) -> None:
        if self.handing_back.is_set():
            raise RetryRequested(timedelta(0), reason=HANDED_BACK)
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        args = orjson.loads(job.payload or b"{}")
        try:
            await self.registered.handler(args)
        except asyncio.CancelledError as error:
            # PgQueuer deletes a cancelled job, as if someone had called it off.
            task.uncancel()
            raise RetryRequested(timedelta(0), reason=HANDED_BACK) from error
        except PermanentFailure:
            await self._before_hold(args)
            raise
        except Exception as error:
            if not isinstance(error, TemporaryFailure):
                log.exception("job %s %s failed unexpectedly", job.entrypoint, job.id)
            failed_attempts = job.attempts + 1
            if failed_attempts >= self.registered.retry.attempts_max:
                await self._before_hold(args)
                raise
            wait = self.registered.retry.wait_seconds(failed_attempts, error)
            reason = f"{type(error).__name__}: {error}"
            raise RetryRequested(timedelta(seconds=wait), reason=reason) from error
        finally:
            self.running.discard(task)

    async def _before_hold(self, args: Mapping[str, JsonScalar]) -> None:
        if self.registered.on_hold is not None:
            await self.registered.on_hold(args)


def _scheduled(function: CronFunction) -> Callable[[Schedule], Awaitable[None]]:
    async def run(_schedule: Schedule) -> None:
        await function()

    return run


async def _never_called(job: Job) -> None:
    raise AssertionError("the executor runs the handler itself")


async def _prune_log(engine: AsyncEngine) -> None:
    pruned = PRUNED_AT_ONCE
    while pruned == PRUNED_AT_ONCE:
        async with open_sessions(engine).begin() as session:
            pruned = await prune_log(session)
