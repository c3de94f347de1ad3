"""Lines of the trace that are written behind a phone's back."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event

from app.passes import devices, trace
from app.passes.evidence import FETCHES_PER_PERIOD, Evidence, collecting
from app.passes.issue import issue
from app.passes.models import Registration
from tests.make import NOON, make_member


@pytest.fixture
async def card(sessions):
    async with sessions.begin() as session:
        return await issue(session, await make_member(session), template="coffee", now=NOON)


@pytest.fixture
def evidence(sessions):
    return Evidence(sessions)


async def lines(sessions, card):
    async with sessions() as session:
        return [(line.kind, line.version) for line in await trace.story(session, card.id)][1:]


async def test_what_a_phone_did_is_written_together(sessions, card, evidence):
    evidence.note(card.program_id, card.id, trace.ASKED, version=1, now=NOON)
    evidence.note_refused(card.serial_number, "wrong token", now=NOON)
    evidence.note(card.program_id, card.id, trace.FETCHED, version=1, now=NOON)

    await evidence.flush()

    written = await lines(sessions, card)
    assert set(written) == {(trace.ASKED, 1), (trace.REFUSED, None), (trace.FETCHED, 1)}
    assert len(written) == 3


async def test_a_flood_of_one_line_is_written_once_a_minute(sessions, card, evidence):
    for second in range(100):
        now = NOON + timedelta(seconds=second)
        evidence.note(card.program_id, card.id, trace.NOT_MODIFIED, version=1, now=now)
        evidence.note_refused(card.serial_number, "wrong token", now=now)

    await evidence.flush()

    kinds = sorted(kind for kind, _ in await lines(sessions, card))
    assert kinds == [trace.NOT_MODIFIED, trace.NOT_MODIFIED, trace.REFUSED, trace.REFUSED]


async def test_every_phone_that_may_hold_the_pass_leaves_its_fetch_and_a_flood_does_not(
    sessions, card, evidence
):
    for _ in range(FETCHES_PER_PERIOD * 3):
        evidence.note(card.program_id, card.id, trace.FETCHED, version=1, now=NOON)

    await evidence.flush()

    assert len(await lines(sessions, card)) == FETCHES_PER_PERIOD


async def test_a_refusal_for_no_pass_at_all_is_not_written(sessions, card, evidence):
    evidence.note_refused("unknown", "wrong token", now=NOON)

    await evidence.flush()

    assert await lines(sessions, card) == []


async def test_asking_keeps_a_device_from_being_the_first_forgotten(sessions, card, evidence):
    async with sessions.begin() as session:
        await devices.register(
            session,
            card.serial_number,
            device_library_identifier="device-1",
            push_service="apns",
            push_token="ab" * 32,
            now=NOON,
        )
    evidence.note_seen("device-1", now=NOON + timedelta(days=1))

    await evidence.flush()

    async with sessions() as session:
        found = await session.get(Registration, ("device-1", card.id))
        assert found.seen_at == NOON + timedelta(days=1)


async def test_what_was_noted_is_written_without_being_asked_and_at_the_end(engine, sessions, card):
    committed = asyncio.Event()
    event.listen(engine.sync_engine, "commit", lambda _connection: committed.set())

    async with collecting(sessions) as evidence:
        evidence.note(card.program_id, card.id, trace.ASKED, version=1, now=NOON)
        async with asyncio.timeout(5):
            await committed.wait()
        evidence.note(card.program_id, card.id, trace.FETCHED, version=1, now=NOON)

    assert len(await lines(sessions, card)) == 2
