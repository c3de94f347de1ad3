"""What the worker does with jobs: order, retries, holding, limits, the clock, stopping."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from pgqueuer import Queries
from sqlalchemy import text

from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import (
    Cron,
    Registered,
    Retry,
    enqueue,
    enqueue_many,
    held,
    postgres,
    prune_log,
    requeue,
    run_worker,
    sqlite,
    stats,
)
from tests.job_queue.conftest import until

SOON = Retry(attempts_max=3, first_wait_seconds=0.1, longest_wait_seconds=0.2)


@pytest.fixture(params=["notify", "poll"])
def wake(request, database):
    if database == "sqlite" and request.param == "poll":
        pytest.skip("SQLite has one way to wake")
    return request.param


async def test_a_committed_job_runs_with_its_arguments(sessions, working, done, wake):
    args = {"pass_id": "p1", "points": -5, "rate": 0.5, "loud": True, "note": None}

    async def ring(args):
        done.add(args)

    handlers = {"ring": Registered(ring)}
    async with working(handlers, wake=wake):
        async with sessions.begin() as session:
            await enqueue(session, "ring", args)
        assert await done.wait_for(1) == [args]

        async def is_empty():
            async with sessions() as session:
                return await stats(session) == []

        await until(is_empty)


async def test_a_commit_wakes_the_worker_before_it_would_look(sessions, working, done, monkeypatch):
    monkeypatch.setattr(sqlite, "POLL_SECONDS", 60)
    monkeypatch.setattr(postgres, "LISTEN_POLL_SECONDS", 60)

    async def ring(args):
        done.add(args["n"])

    async with working({"ring": Registered(ring)}):
        for n in range(1, 4):
            async with sessions.begin() as session:
                await enqueue(session, "ring", {"n": n})
            await done.wait_for(n)

    assert done.calls == [1, 2, 3]


async def test_a_worker_waits_for_a_database_that_goes_away(sessions, working, done, monkeypatch):
    failures = iter([OSError("connection refused"), asyncpg.InternalClientError("bad state")])
    for adapter in (sqlite, postgres):
        monkeypatch.setattr(adapter, "open_queue", failing(adapter.open_queue, failures))

    async def ring(args):
        done.add(args["n"])

    async with sessions.begin() as session:
        await enqueue(session, "ring", {"n": 1})
    async with working({"ring": Registered(ring)}):
        await done.wait_for(1)

    assert next(failures, None) is None


@pytest.mark.parametrize("database", ["postgresql"])
async def test_a_worker_survives_the_loss_of_its_connections(engine, sessions, working, done):
    async def ring(args):
        done.add(args["n"])

    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'passbell-worker' "
    )
    async with working({"ring": Registered(ring)}, heartbeat_seconds=1):
        for n in range(1, 4):
            async with sessions.begin() as session:
                await enqueue(session, "ring", {"n": n})
            await done.wait_for(n, seconds=20)
            async with engine.begin() as connection:
                killed = await connection.execute(text(kill + "AND datname = current_database()"))
                assert len(killed.all()) >= 2

    assert done.calls == [1, 2, 3]


@pytest.mark.parametrize("database", ["postgresql"])
async def test_a_job_whose_next_try_cannot_be_written_is_not_held_but_runs_again(
    sessions, working, done, monkeypatch
):
    written = Queries.retry_job
    failures = iter([ConnectionRefusedError("the database is starting up")])

    async def retry_job(*args):
        for failure in failures:
            raise failure
        await written(*args)

    monkeypatch.setattr(Queries, "retry_job", retry_job)

    async def ring(args):
        done.add(args["n"])
        if len(done.calls) < 3:
            raise TemporaryFailure("APNs is away")

    async with working({"ring": Registered(ring, retry=SOON)}, heartbeat_seconds=1):
        async with sessions.begin() as session:
            await enqueue(session, "ring", {"n": 1})
        await done.wait_for(3, seconds=20)

    async with sessions() as session:
        assert await held(session) == []


async def test_urgent_jobs_run_first_and_equal_ones_in_order(sessions, working, done):

    async def ring(args):
        done.add(args["n"])

    handlers = {"ring": Registered(ring, concurrency_limit=1)}
    async with sessions.begin() as session:
        await enqueue_many(session, "ring", [{"n": 1}, {"n": 2}])
        await enqueue(session, "ring", {"n": 3}, priority=5)
        await enqueue(session, "ring", {"n": 4}, priority=-5)
        await enqueue(session, "ring", {"n": 5})

    async with working(handlers):
        assert await done.wait_for(5) == [3, 1, 2, 5, 4]


async def test_a_job_waits_for_its_time(sessions, working, done):

    async def ring(args):
        done.add((args["n"], datetime.now(UTC)))

    handlers = {"ring": Registered(ring)}
    run_at = datetime.now(UTC) + timedelta(seconds=0.7)
    async with working(handlers):
        async with sessions.begin() as session:
            await enqueue(session, "ring", {"n": "later"}, run_at=run_at)
            await enqueue(session, "ring", {"n": "now"})
        (first, _), (second, at) = await done.wait_for(2)

    assert (first, second) == ("now", "later")
    assert run_at <= at < run_at + timedelta(seconds=2)


@pytest.mark.parametrize("error", [TemporaryFailure("503"), ValueError("a fault of ours")])
async def test_a_failed_job_is_tried_again_later_and_held_after_the_last_attempt(
    sessions, working, done, error
):
    loop = asyncio.get_running_loop()

    async def ring(args):
        done.add(loop.time())
        raise error

    handlers = {"ring": Registered(ring, retry=SOON)}
    async with working(handlers):
        async with sessions.begin() as session:
            await enqueue(session, "ring", {"pass_id": "p1"})
        first, second, third = await done.wait_for(3)
        (job,) = await held_jobs(sessions, 1)

    assert second - first >= 0.05
    assert third - second >= 0.1
    assert (job.kind, job.args, job.attempts) == ("ring", {"pass_id": "p1"}, 3)
    assert job.error == f"{type(error).__name__}: {error}"
    assert abs(datetime.now(UTC) - job.held_at) < timedelta(seconds=10)


@pytest.mark.parametrize("error", [TemporaryFailure("503"), PermanentFailure("403"), ValueError("ours")])
async def test_whoever_waits_for_a_job_hears_once_that_it_is_held(sessions, working, done, error):
    async def ring(args):
        raise error

    async def note(args):
        done.add(args)

    handlers = {"ring": Registered(ring, retry=SOON, on_hold=note)}
    async with working(handlers):
        async with sessions.begin() as session:
            await enqueue(session, "ring", {"pass_id": "p1"})
        await held_jobs(sessions, 1)

    assert done.calls == [{"pass_id": "p1"}]


async def test_a_permanent_failure_is_held_at_once_and_can_be_requeued(sessions, working, done):

    async def ring(args):
        done.add(args)
        if len(done.calls) == 1:
            raise PermanentFailure("403 InvalidProviderToken")

    handlers = {"ring": Registered(ring, retry=SOON)}
    async with working(handlers):
        async with sessions.begin() as session:
            await enqueue(session, "ring", {"pass_id": "p1"})
        (job,) = await held_jobs(sessions, 1)
        async with sessions() as session:
            (line,) = await stats(session)
        async with sessions.begin() as session:
            assert await requeue(session, [job.id]) == 1
            assert await requeue(session, [job.id]) == 0
        await done.wait_for(2)

    assert (line.kind, line.state, line.count) == ("ring", "held", 1)
    assert (job.attempts, job.error) == (1, "PermanentFailure: 403 InvalidProviderToken")


async def test_the_log_is_pruned_but_a_held_job_keeps_its_error(sessions, working, done):

    async def ring(args):
        done.add(args)
        if len(done.calls) == 1:
            raise TemporaryFailure("busy")
        raise PermanentFailure("gone")

    handlers = {"ring": Registered(ring, retry=SOON)}
    async with working(handlers):
        async with sessions.begin() as session:
            await enqueue(session, "ring", {"pass_id": "kept"})
        await held_jobs(sessions, 1)
    assert len(done.calls) == 2

    async with sessions.begin() as session:
        assert await prune_log(session) == 0
        assert await prune_log(session, older_than=timedelta(0)) == 0
    assert [job.error for job in await held_jobs(sessions, 1)] == ["PermanentFailure: gone"]


async def test_no_more_jobs_of_a_kind_run_at_once_than_its_limit(engine, sessions, working, done):
    running = most = 0

    async def ring(args):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        done.add(args)
        running -= 1

    handlers = {"ring": Registered(ring, concurrency_limit=2)}
    async with sessions.begin() as session:
        await enqueue_many(session, "ring", [{"n": n} for n in range(30)])
    async with working(handlers), working(handlers):
        await done.wait_for(30)

    assert most <= 2


async def test_a_cron_function_runs_once_per_tick_over_two_workers(working, done):
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def tick():
        done.add(loop.time())

    crons = [Cron("tick", "* * * * * *", tick)]
    async with working({}, crons=crons), working({}, crons=crons):
        *_, last = await done.wait_for(3, seconds=20)

    assert len(done.calls) <= last - started + 1


async def test_stopping_lets_running_jobs_finish(sessions, working, done):
    may_finish = asyncio.Event()

    async def ring(args):
        done.add("begun")
        await may_finish.wait()
        done.add("finished")

    handlers = {"ring": Registered(ring)}
    async with working(handlers) as stop:
        async with sessions.begin() as session:
            await enqueue(session, "ring", {})
        await done.wait_for(1)
        stop.set()
        asyncio.get_running_loop().call_later(0.1, may_finish.set)

    assert done.calls == ["begun", "finished"]
    async with sessions() as session:
        assert await stats(session) == []


async def test_stopping_hands_back_what_does_not_finish_in_time(sessions, working, done):

    async def ring(args):
        done.add("begun")
        await asyncio.Event().wait()

    handlers = {"ring": Registered(ring, retry=Retry(attempts_max=1))}
    async with working(handlers, grace_seconds=0.1):
        async with sessions.begin() as session:
            await enqueue(session, "ring", {})
        await done.wait_for(1)

    async with sessions() as session:
        assert [(line.state, line.count) for line in await stats(session)] == [("queued", 1)]


async def test_a_worker_that_is_cancelled_hands_back_too(engine, sessions, done):
    async def ring(args):
        done.add("begun")
        await asyncio.Event().wait()

    handlers = {"ring": Registered(ring)}
    async with sessions.begin() as session:
        await enqueue(session, "ring", {})
    task = asyncio.create_task(run_worker(engine, handlers, stop=asyncio.Event()))
    await done.wait_for(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with sessions() as session:
        assert [(line.state, line.count) for line in await stats(session)] == [("queued", 1)]


def failing(open_queue, failures):
    def open_or_fail(*args, **options):
        for failure in failures:
            raise failure
        return open_queue(*args, **options)

    return open_or_fail


async def held_jobs(sessions, count):
    found = []

    async def is_there():
        nonlocal found
        async with sessions() as session:
            found = await held(session)
        return len(found) >= count

    await until(is_there)
    return found
