"""What a transaction promises, kept while many share one connection and one COMMIT."""

import asyncio
import gc
import sqlite3
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_engine, open_read_engine
from app.sqlite_driver import writer

INSERT = text("INSERT INTO counter VALUES (:id, 0)")


@pytest.fixture(autouse=True)
def patient_groups(monkeypatch):
    """A busy machine must not close a group before the test has filled it."""
    monkeypatch.setattr(writer, "GROUP_SECONDS", 10)


def stored(path) -> list[int]:
    """The ids in the file, as another process would see them."""
    connection = sqlite3.connect(path)
    ids = [id_ for (id_,) in connection.execute("SELECT id FROM counter WHERE id > 1 ORDER BY id")]
    connection.close()
    return ids


async def insert(engine, id_: int) -> None:
    async with engine.begin() as connection:
        await connection.execute(INSERT, {"id": id_})


async def in_one_group(engine, *works):
    """Run works so that their transactions share a COMMIT: all queue behind one that holds the turn."""
    async with engine.begin():
        tasks = [asyncio.create_task(work) for work in works]
        await asyncio.sleep(0)  # all of them begin, and wait
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_read_and_then_changed_is_never_lost(engine):
    async def increment_often():
        for _ in range(50):
            async with engine.begin() as connection:
                value = (
                    await connection.execute(text("SELECT value FROM counter WHERE id = 1"))
                ).scalar_one()
                await asyncio.sleep(0)
                await connection.execute(
                    text("UPDATE counter SET value = :value WHERE id = 1"), {"value": value + 1}
                )

    await asyncio.gather(*(increment_often() for _ in range(20)))

    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT value FROM counter"))).scalar_one() == 1000


async def test_two_hundred_at_once_are_all_stored_when_acknowledged(engine, path):
    await asyncio.gather(*(insert(engine, id_) for id_ in range(2, 202)))

    assert stored(path) == list(range(2, 202))


async def test_a_member_that_fails_takes_only_itself_out_of_the_group(engine, path):
    results = await in_one_group(engine, insert(engine, 2), insert(engine, 1), insert(engine, 3))

    assert [type(result) for result in results] == [type(None), IntegrityError, type(None)]
    assert stored(path) == [2, 3]


async def test_a_transaction_ended_by_an_exception_leaves_nothing(engine, path):
    async def fail():
        async with engine.begin() as connection:
            await connection.execute(INSERT, {"id": 9})
            raise LookupError

    results = await in_one_group(engine, insert(engine, 2), fail(), insert(engine, 3))

    assert isinstance(results[1], LookupError)
    assert stored(path) == [2, 3]


async def test_after_an_error_in_the_middle_the_rest_can_still_be_committed(engine, path):
    async with engine.begin() as connection:
        await connection.execute(INSERT, {"id": 2})
        with pytest.raises(IntegrityError):
            await connection.execute(INSERT, {"id": 2})
        await connection.execute(INSERT, {"id": 3})

    assert stored(path) == [2, 3]


async def test_a_commit_that_fails_fails_every_member_and_the_next_group_is_well(engine, path):
    async def orphan():
        async with engine.begin() as connection:
            await connection.execute(text("PRAGMA defer_foreign_keys=ON"))
            await connection.execute(text("INSERT INTO part VALUES (1, 99)"))

    results = await in_one_group(engine, insert(engine, 2), orphan(), insert(engine, 3))

    assert [type(result) for result in results] == [OperationalError] * 3
    assert stored(path) == []
    await insert(engine, 4)
    assert stored(path) == [4]


async def test_when_sqlite_rolls_the_group_back_every_member_hears_of_it(engine, path):
    async def ruin():
        async with engine.begin() as connection:
            with pytest.raises(IntegrityError):
                await connection.execute(text("INSERT OR ROLLBACK INTO counter VALUES (1, 0)"))
            await connection.execute(INSERT, {"id": 9})

    results = await in_one_group(engine, insert(engine, 2), ruin(), insert(engine, 3))

    assert [type(result) for result in results] == [OperationalError, OperationalError, type(None)]
    assert stored(path) == [3]


async def test_nested_transactions_roll_back_alone(engine, path):
    async with AsyncSession(engine) as session:
        await session.execute(INSERT, {"id": 2})
        with suppress(LookupError):
            async with session.begin_nested():
                await session.execute(INSERT, {"id": 3})
                raise LookupError
        async with session.begin_nested():
            await session.execute(INSERT, {"id": 4})
        await session.commit()

    assert stored(path) == [2, 4]


@pytest.mark.parametrize("moment", ["waiting for its turn", "in its transaction"])
async def test_a_cancelled_transaction_is_undone_and_hands_its_turn_on(engine, path, moment):
    begun = asyncio.Event()

    async def stuck():
        async with engine.begin() as connection:
            await connection.execute(INSERT, {"id": 9})
            begun.set()
            await asyncio.Event().wait()

    if moment == "waiting for its turn":
        async with engine.begin():
            task = asyncio.create_task(stuck())
            await asyncio.sleep(0)
            task.cancel()
    else:
        task = asyncio.create_task(stuck())
        await begun.wait()
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await asyncio.wait_for(insert(engine, 2), 5)
    assert stored(path) == [2]


async def test_a_transaction_cancelled_in_the_moment_it_gets_its_turn_hands_it_on(engine, path):
    async with engine.connect() as connection:
        await connection.execute(INSERT, {"id": 9})
        task = asyncio.create_task(insert(engine, 10))
        await asyncio.sleep(0)
        await connection.rollback()  # gives the turn to the task, which has not run yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await asyncio.wait_for(insert(engine, 2), 5)
    assert stored(path) == [2]


async def test_cancelling_at_every_step_leaves_the_engine_usable(engine, path):
    """Whole or not at all, wherever the cancellation strikes; afterwards all goes on."""
    for steps in range(12):
        tasks = [asyncio.create_task(insert(engine, 10 * steps + n)) for n in range(2, 7)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        acknowledged = {10 * steps + n for n, result in enumerate(results, 2) if result is None}
        assert {10 * steps + 3, 10 * steps + 5} <= acknowledged
        assert acknowledged <= set(stored(path))


async def test_an_invalidated_connection_undoes_its_transaction(engine, path):
    async with engine.connect() as connection:
        await connection.execute(INSERT, {"id": 9})
        await connection.invalidate()

    await asyncio.wait_for(insert(engine, 2), 5)
    assert stored(path) == [2]


async def test_a_transaction_left_open_is_rolled_back_for_those_who_wait(engine, path, monkeypatch, caplog):
    monkeypatch.setattr(writer, "TURN_SECONDS", 0.1)

    async with engine.connect() as connection:
        await connection.execute(INSERT, {"id": 9})
        await asyncio.wait_for(insert(engine, 2), 5)
        with pytest.raises(OperationalError, match="was rolled back: it was open"):
            await connection.execute(INSERT, {"id": 10})

    assert stored(path) == [2]
    assert "a transaction was open" in caplog.text


async def test_waiting_for_another_process_ends_when_it_commits(engine, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(insert(engine, 2))
    await asyncio.sleep(0.05)
    assert not task.done()

    other.execute("COMMIT")
    other.close()
    await asyncio.wait_for(task, 5)
    assert stored(path) == [2]


async def test_waiting_for_another_process_has_an_end(engine, path, monkeypatch):
    monkeypatch.setattr(writer, "WAIT_SECONDS", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(OperationalError, match="locked"):
        await insert(engine, 2)

    other.close()
    await insert(engine, 3)
    assert stored(path) == [3]


async def test_waiting_for_a_turn_has_an_end(engine, path, monkeypatch):
    monkeypatch.setattr(writer, "WAIT_SECONDS", 0.05)
    async with engine.begin():
        with pytest.raises(OperationalError, match="waited"):
            await insert(engine, 2)

    await insert(engine, 3)
    assert stored(path) == [3]


async def test_what_only_reads_does_not_see_what_is_not_yet_safe(engine):
    """A reader in the group of a writer waits for the same COMMIT: its answer must not outlive a crash."""

    async def orphan():
        async with engine.begin() as connection:
            await connection.execute(text("PRAGMA defer_foreign_keys=ON"))
            await connection.execute(text("INSERT INTO part VALUES (1, 99)"))

    async def read():
        async with engine.begin() as connection:
            return (await connection.execute(text("SELECT count(*) FROM part"))).scalar_one()

    results = await in_one_group(engine, orphan(), read())

    assert [type(result) for result in results] == [OperationalError] * 2


async def test_a_read_engine_waits_for_nobody_and_sees_one_moment(engine, path):
    reader = open_read_engine(f"sqlite:///{path}")
    count = text("SELECT count(*) FROM counter")
    async with engine.begin() as connection, reader.connect() as reading:
        await connection.execute(INSERT, {"id": 2})
        assert (await reading.execute(count)).scalar_one() == 1
        await connection.commit()
        assert (await reading.execute(count)).scalar_one() == 1
        await reading.rollback()
        assert (await reading.execute(count)).scalar_one() == 2
    await reader.dispose()


@pytest.mark.parametrize("for_reports", [False, True])
async def test_a_read_engine_refuses_to_write(engine, path, for_reports):
    reader = open_read_engine(f"sqlite:///{path}", for_reports=for_reports)
    with pytest.raises(OperationalError, match="readonly"):
        await insert(reader, 2)
    await reader.dispose()

    assert stored(path) == []


async def test_in_autocommit_the_engine_reads_and_does_not_write(engine):
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM counter"))).scalar_one() == 1
        with pytest.raises(OperationalError, match="readonly"):
            await connection.execute(INSERT, {"id": 2})

    await insert(engine, 2)  # the connection is an ordinary one again


async def test_a_statement_that_keeps_the_event_loop_is_named_in_the_log(engine, monkeypatch, caplog):
    monkeypatch.setattr(writer, "SLOW_SECONDS", 0.0)
    await insert(engine, 2)

    assert "kept the event loop" in caplog.text
    assert "INSERT INTO counter" in caplog.text


async def test_a_report_in_threads_lets_the_event_loop_go_on(engine, path):
    reader = open_read_engine(f"sqlite:///{path}", for_reports=True)
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    long = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT max(i) FROM n"
    )
    async with reader.connect() as connection:
        assert (await connection.execute(text(long))).scalar_one() == 300000
    counting.cancel()
    await reader.dispose()

    assert turns > 10


async def test_a_disposed_engine_closes_its_file_and_can_be_used_again(engine, path):
    await insert(engine, 2)
    await engine.dispose()
    gc.collect()
    assert not path.with_name("counter.db-wal").exists()

    await insert(engine, 3)
    assert stored(path) == [2, 3]


def test_a_database_without_a_file_is_refused():
    with pytest.raises(ValueError, match="give SQLite a file"):
        open_engine("sqlite://")
