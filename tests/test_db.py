import asyncio
from datetime import datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, StatementError

from app.db import locked, new_id
from app.members.models import Program
from tests.make import make_program


def test_ids_sort_by_age_even_within_a_millisecond():
    ids = [new_id("mem") for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {len(each) for each in ids} == {30}


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_naive_datetime_is_refused_by_its_value(session):
    session.add(Program(id="prg_1", slug="x", created_at=datetime(2030, 1, 1)))  # noqa: DTZ001

    with pytest.raises(StatementError, match="naive datetime"):
        await session.flush()


async def test_what_a_statement_was_given_stands_in_no_error(engine):
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as refused:
            await connection.execute(
                text("SELECT no_such_column FROM members WHERE name = :name"), {"name": "Anna"}
            )

    assert "Anna" not in str(refused.value)


async def test_lost_updates_do_not_happen(sessions):
    """Twenty tasks read a number and write one more: with the drivers' defaults most of that was lost."""
    async with sessions.begin() as session:
        program = await make_program(session, tier_period_days=1)

    async def add():
        for _ in range(10):
            async with sessions.begin() as session:
                found = await locked(session, select(Program).where(Program.id == program.id))
                found.tier_period_days += 1

    await asyncio.gather(*(add() for _ in range(20)))

    async with sessions() as session:
        days = await session.scalar(select(Program.tier_period_days))
    assert days == 201
