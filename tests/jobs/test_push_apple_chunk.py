"""What a campaign changed is told by the chunk, with the same promises as one pass by itself."""

import asyncio

import orjson
import pytest
from sqlalchemy import select, text

from app.errors import TemporaryFailure
from app.job_queue import kinds
from app.jobs.push_apple import push_apple
from app.jobs.push_apple_chunk import push_apple_chunk
from app.members.models import Program
from app.passes import outbox, outbox_chunk, trace, versions
from app.passes.models import Registration, Update
from tests.jobs.test_push_apple import install
from tests.make import NOON, make_account, make_issued, make_program

PASSES = 6


def token(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
async def issued(services):
    """Passes of one programme, each on a phone of its own."""
    async with services.sessions.begin() as session:
        program = await make_program(session)
        passes = []
        for number in range(PASSES):
            each = await make_issued(session, await make_account(session, program))
            await install(session, each, token(number), device=f"phone {number}")
            passes.append(each)
    return passes


async def change(services, passes, *, priority=kinds.BULK):
    async with services.sessions.begin() as session:
        await versions.mark_changed(
            session,
            passes[0].program_id,
            [each.id for each in passes],
            because={},
            now=NOON,
            priority=priority,
        )


async def jobs(services) -> list[tuple[str, dict]]:
    async with services.sessions() as session:
        rows = await session.execute(text("SELECT entrypoint, payload FROM pgqueuer ORDER BY id"))
    return [(row.entrypoint, orjson.loads(row.payload)) for row in rows]


async def run_chunks(services):
    for kind, args in await jobs(services):
        if kind == kinds.PUSH_APPLE_CHUNK:
            await push_apple_chunk(services, args)


async def owed(services) -> list[str]:
    async with services.sessions() as session:
        behind = select(Update.pass_id).where(Update.wanted_version > Update.sent_version)
        return sorted(await session.scalars(behind))


def told(world) -> list[str]:
    return sorted(push.push_token for push in world.apns.accepted)


async def test_many_changes_make_one_job_for_each_chunk_and_every_phone_is_told_once(
    services, world, issued, monkeypatch
):
    monkeypatch.setattr(versions, "CHUNK", 4)
    await change(services, issued)
    assert [kind for kind, _ in await jobs(services)] == [kinds.PUSH_APPLE_CHUNK] * 2

    for _ in range(2):  # a job may run again
        await run_chunks(services)

    assert told(world) == [token(number) for number in range(PASSES)]
    assert await owed(services) == []
    async with services.sessions() as session:
        last = (await trace.story(session, issued[0].id))[-1]
    apns_id = next(push.apns_id for push in world.apns.accepted if push.push_token == token(0))
    assert (last.kind, last.version, last.details) == (
        trace.PUSH_ACCEPTED,
        2,
        {"apns_id": apns_id, "device": "phone 0"},
    )


async def test_a_phone_that_holds_many_of_the_passes_rings_once(services, world, issued):
    async with services.sessions.begin() as session:
        for each in issued[1:]:
            await install(session, each, token(0), device="phone 0")
    await change(services, issued)
    await run_chunks(services)

    assert told(world) == [token(number) for number in range(PASSES)]
    assert await owed(services) == []


async def test_a_phone_that_is_gone_is_forgotten(services, world, issued):
    world.apns.unregister(token(2))
    await change(services, issued)
    await run_chunks(services)

    assert await owed(services) == []
    async with services.sessions() as session:
        devices = sorted(await session.scalars(select(Registration.device_library_identifier)))
    assert devices == [f"phone {number}" for number in range(PASSES) if number != 2]


async def test_what_failed_stays_owed_and_the_next_try_tells_only_that(services, world, issued):
    async with services.sessions.begin() as session:
        await install(session, issued[1], token(100), device="tablet")
    world.apns.refuse(token(1), "ServiceUnavailable", times=5)  # as often as a bulk asks by itself
    await change(services, issued)
    with pytest.raises(TemporaryFailure, match="503"):
        await run_chunks(services)
    assert await owed(services) == [issued[1].id]

    await run_chunks(services)

    assert told(world) == [token(number) for number in (*range(PASSES), 100)]
    assert await owed(services) == []


async def test_refused_credentials_stop_all_and_everything_stays_owed(services, world, clock, issued):
    for number in range(PASSES):
        world.apns.refuse(token(number), "BadCertificate", times=1)
    await change(services, issued)
    for _ in range(2):
        with pytest.raises(TemporaryFailure):
            await run_chunks(services)
    assert services.push_stop.seconds_left("apns", NOON) == 300
    assert len(await owed(services)) == PASSES

    clock.tick(301)
    for number in range(PASSES):
        world.apns.refuse(token(number), "TooManyRequests", times=0)
    await run_chunks(services)
    assert await owed(services) == []


async def test_a_pass_that_another_worker_holds_is_left_to_it(services, world, issued):
    await change(services, issued)
    async with services.sessions.begin() as session:
        await outbox.take(session, issued[0].id, versions.APPLE, now=NOON)

    with pytest.raises(TemporaryFailure, match="another worker") as failure:
        await run_chunks(services)

    assert told(world) == [token(number) for number in range(1, PASSES)]
    assert await owed(services) == [issued[0].id]
    assert failure.value.retry_after_seconds == outbox.LEASE.total_seconds()


async def test_a_change_that_comes_while_a_chunk_is_told_gets_a_job_of_its_own(services, world, issued):
    await change(services, issued)
    async with services.sessions.begin() as session:
        chunk = await outbox_chunk.read(session, [each.id for each in issued], now=NOON)
    before = await jobs(services)
    await change(services, issued[:1])
    await change(services, issued[1:2], priority=kinds.LIVE)
    async with services.sessions.begin() as session:
        await outbox_chunk.mark_sent(session, chunk, sorted(chunk.owed), now=NOON)

    assert await owed(services) == sorted(each.id for each in issued[:2])
    assert (await jobs(services))[len(before) :] == [
        (kinds.PUSH_APPLE, {"pass_id": issued[1].id}),
        (kinds.PUSH_APPLE_CHUNK, {"pass_ids": issued[0].id}),
    ]


async def test_a_pass_that_is_told_by_a_job_of_its_own_meanwhile_is_left_to_that(services, world, issued):
    await change(services, issued)
    async with services.sessions.begin() as session:
        chunk = await outbox_chunk.read(session, [each.id for each in issued], now=NOON)
    async with services.sessions.begin() as session:
        alone = await outbox.take(session, issued[0].id, versions.APPLE, now=NOON)
    async with services.sessions.begin() as session:
        await outbox_chunk.mark_sent(session, chunk, sorted(chunk.owed), now=NOON)
        assert isinstance(alone, outbox.Taken)
        await outbox.mark_sent(session, alone, now=NOON)

    assert await owed(services) == []
    async with services.sessions() as session:
        assert set(await session.scalars(select(Update.leased_until))) == {None}


async def test_a_phone_that_registers_while_a_chunk_is_told_is_told_too(services, world, issued):
    await change(services, issued)
    async with services.sessions.begin() as session:
        chunk = await outbox_chunk.read(session, [each.id for each in issued], now=NOON)
    async with services.sessions.begin() as session:
        await install(session, issued[0], token(100), device="tablet")
    async with services.sessions.begin() as session:
        await outbox_chunk.mark_sent(session, chunk, sorted(chunk.owed), now=NOON)

    assert await owed(services) == [issued[0].id]
    await push_apple(services, {"pass_id": issued[0].id})
    assert token(100) in told(world)
    assert await owed(services) == []


async def test_a_phone_that_registers_late_is_told_and_no_other(services, world, clock, issued):
    await change(services, issued)
    await run_chunks(services)
    clock.tick(60)
    async with services.sessions.begin() as session:
        await install(session, issued[0], token(100), device="tablet")
    await push_apple(services, {"pass_id": issued[0].id})

    assert told(world) == [token(number) for number in (*range(PASSES), 100)]
    assert await owed(services) == []


async def test_a_worker_that_is_stopped_notes_what_was_sent_and_hands_back_the_rest(services, world, issued):
    world.apns.ignore(token(1))
    await change(services, issued)
    running = asyncio.create_task(run_chunks(services))
    async with asyncio.timeout(10):
        while len(world.apns.accepted) < PASSES - 1:  # noqa: ASYNC110 (the condition belongs to the simulator)
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert issued[1].id in await owed(services)
    async with services.sessions.begin() as session:
        chunk = await outbox_chunk.read(session, [each.id for each in issued], now=NOON)
    assert issued[1].id in chunk.owed


async def test_a_single_change_of_a_pass_that_waits_with_a_campaign_does_not_wait(services, world, issued):
    await change(services, issued)
    await change(services, issued[:1], priority=kinds.LIVE)
    await push_apple(services, {"pass_id": issued[0].id})
    assert told(world) == [token(0)]

    await run_chunks(services)
    assert told(world) == [token(number) for number in range(PASSES)]


async def test_a_pass_on_no_phone_is_owed_nothing_more(services, world):
    async with services.sessions.begin() as session:
        issued = await make_issued(session)
    await change(services, [issued])
    await run_chunks(services)

    assert await owed(services) == []
    assert world.apns.accepted == []


async def test_a_worker_that_comes_late_takes_nothing_back(services, world, clock, issued):
    ids = [each.id for each in issued]
    await change(services, issued)
    async with services.sessions.begin() as session:
        late = await outbox_chunk.read(session, ids, now=NOON)
    await run_chunks(services)
    clock.tick(3600)

    async with services.sessions.begin() as session:
        await outbox_chunk.mark_failed(session, late, ids, now=clock())
        await outbox_chunk.mark_sent(session, late, ids, now=clock())
        await outbox_chunk.defer(session, late, ids, until=clock(), now=clock())

    async with services.sessions() as session:
        rows = await session.execute(
            select(Update.queued, Update.attempts, Update.sent_version, Update.told_at)
        )
        assert {tuple(row) for row in rows} == {(False, 0, 2, NOON)}


async def _set_rules(services, program_id, **rules):
    async with services.sessions.begin() as session:
        program = await session.get_one(Program, program_id)
        for name, value in rules.items():
            setattr(program, name, value)


async def test_in_quiet_hours_a_campaign_waits_for_the_morning_and_a_purchase_does_not(
    services, world, clock, issued
):
    await _set_rules(services, issued[0].program_id, time_zone="Europe/Moscow", quiet_hours="14:00-16:00")
    await change(services, issued)  # NOON is 15:00 in Moscow
    for _ in range(2):
        with pytest.raises(TemporaryFailure, match="may not ring") as failure:
            await run_chunks(services)
    assert failure.value.retry_after_seconds == 3600
    assert told(world) == []
    assert len(await owed(services)) == PASSES
    async with services.sessions() as session:
        held = [each for each in await trace.story(session, issued[1].id) if each.kind == "push_held_back"]
    assert [(each.version, each.details["why"]) for each in held] == [(2, "quiet_hours")]

    await change(services, issued[:1], priority=kinds.LIVE)
    await push_apple(services, {"pass_id": issued[0].id})
    assert told(world) == [token(0)]

    clock.tick(3600)
    await run_chunks(services)
    assert told(world) == [token(number) for number in range(PASSES)]
    assert await owed(services) == []


async def test_no_more_campaigns_ring_than_the_programme_allows(services, world, clock, issued):
    await _set_rules(services, issued[0].program_id, campaign_rings_per_day=1)
    world.apns.refuse(token(1), "ServiceUnavailable", times=5)
    await change(services, issued)
    with pytest.raises(TemporaryFailure, match="503"):
        await run_chunks(services)
    await run_chunks(services)  # a try of what failed is no second ring
    assert told(world) == [token(number) for number in range(PASSES)]

    clock.tick(3600)
    await change(services, issued[:2])
    with pytest.raises(TemporaryFailure, match="may not ring") as failure:
        await run_chunks(services)
    assert failure.value.retry_after_seconds == 23 * 3600
    assert len(told(world)) == PASSES

    clock.tick(23 * 3600)
    await run_chunks(services)
    assert len(told(world)) == PASSES + 2


async def test_where_no_campaign_may_ring_the_phone_is_left_to_ask_by_itself(services, world, issued):
    await _set_rules(services, issued[0].program_id, campaign_rings_per_day=0)
    await change(services, issued)
    await run_chunks(services)

    assert told(world) == []
    assert await owed(services) == []
