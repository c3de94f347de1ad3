"""Jobs live and die with the transaction that enqueued them, on both databases."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.db import Sessions, open_sessions
from app.job_queue import NotInTransaction, enqueue, enqueue_many, stats
from app.job_queue.enqueue import no_longer_on_commit, on_commit


async def count(sessions: Sessions) -> int:
    async with sessions() as session:
        return sum(line.count for line in await stats(session))


@pytest.mark.parametrize("statement_before", ["SELECT 1", None])
async def test_a_rollback_leaves_no_job_and_a_commit_one(sessions, statement_before):
    for end, jobs in (("rollback", 0), ("commit", 1)):
        async with sessions() as session:
            if statement_before:
                await session.execute(text(statement_before))
            await enqueue(session, "ring", {"pass_id": "p1"})
            await getattr(session, end)()

        assert await count(sessions) == jobs


async def test_a_session_that_commits_by_itself_is_refused_before_the_job_exists(engine, sessions):
    by_itself = open_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))
    async with by_itself() as session:
        with pytest.raises(NotInTransaction):
            await enqueue(session, "ring", {"pass_id": "p1"})

    assert await count(sessions) == 0


async def test_many_jobs_are_enqueued_at_once(sessions):
    async with sessions.begin() as session:
        await enqueue_many(session, "ring", [{"pass_id": str(number)} for number in range(1000)])
        await enqueue_many(session, "ring", [])

    assert await count(sessions) == 1000


async def test_a_time_without_a_zone_is_refused(session):
    with pytest.raises(ValueError, match="give run_at a time zone"):
        await enqueue(session, "ring", {}, run_at=datetime(2030, 1, 1, 12))  # noqa: DTZ001


async def test_a_job_for_later_is_not_counted_as_waiting(sessions):
    async with sessions.begin() as session:
        await enqueue(session, "ring", {}, run_at=datetime(2040, 1, 1, tzinfo=UTC))

    async with sessions() as session:
        (line,) = await stats(session)
    assert (line.kind, line.state, line.count, line.oldest_seconds) == ("ring", "queued", 1, 0.0)


@pytest.mark.parametrize("database", ["sqlite"])
async def test_only_a_commit_that_enqueued_wakes_the_workers_of_its_process(engine, sessions):
    woken = []
    database = str(engine.url.database)

    def wake():
        woken.append("woken")

    on_commit(database, wake)
    async with sessions() as session:
        await session.execute(text("DELETE FROM pgqueuer"))
        await session.commit()
        assert woken == []
        await enqueue(session, "ring", {})
        assert woken == []
        await session.commit()
        await session.commit()
    no_longer_on_commit(database, wake)

    assert woken == ["woken"]
