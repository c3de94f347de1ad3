"""Reads made once for all phones that ask in the same moment."""

import asyncio

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from app.passes.gathered import GatheredRead, PhoneReads
from app.passes.issue import issue
from tests.make import NOON, make_member


@pytest.fixture
async def cards(sessions):
    async with sessions.begin() as session:
        return [
            await issue(session, await make_member(session), template="coffee", now=NOON) for _ in range(3)
        ]


async def test_a_thousand_phones_in_one_moment_cost_one_read_and_each_gets_its_own(engine, cards):
    statements = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    reads = PhoneReads(engine)

    found = await asyncio.gather(
        *(reads.versions.rows(card.serial_number) for card in cards for _ in range(300)),
        *(reads.versions.rows(f"unknown-{number}") for number in range(100)),
    )

    assert [[row.id for row in rows] for rows in found[:900:300]] == [[card.id] for card in cards]
    assert all(rows == [] for rows in found[900:])
    assert len([statement for statement in statements if "FROM passes" in statement]) == 1


async def test_a_phone_that_hangs_up_leaves_the_others_their_answer(engine, cards):
    reads = PhoneReads(engine)
    impatient = asyncio.create_task(reads.versions.rows(cards[0].serial_number))
    patient = asyncio.create_task(reads.versions.rows(cards[0].serial_number))
    await asyncio.sleep(0)
    impatient.cancel()

    assert [row.id for row in await patient] == [cards[0].id]


async def test_a_failed_read_is_told_to_everybody_who_waits(engine):
    read = GatheredRead(engine, text("SELECT key FROM no_such_table WHERE :keys = ''"))

    answers = await asyncio.gather(read.rows("a"), read.rows("b"), return_exceptions=True)

    assert [isinstance(answer, DBAPIError) for answer in answers] == [True, True]
