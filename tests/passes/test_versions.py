import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app import job_queue
from app.job_queue import kinds
from app.passes import outbox, trace, versions
from app.passes.issue import set_state
from app.passes.models import Pass, TraceEvent, Update
from app.passes.versions import APPLE, GOOGLE
from tests.make import NOON, make_account, make_issued

BECAUSE = {"entry": "ent_1"}


async def jobs(session) -> int:
    return sum(each.count for each in await job_queue.stats(session))


async def change(sessions, issued, *, now=NOON):
    async with sessions.begin() as session:
        await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=now)


async def test_a_change_raises_the_version_and_owes_it_to_the_wallet(session):
    issued = await make_issued(session)

    await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=NOON)

    owed = (await session.scalars(select(Update).where(Update.pass_id == issued.id))).one()
    await session.refresh(issued)
    assert (issued.version, owed.wanted_version, owed.sent_version, owed.queued) == (2, 2, 1, True)
    story = await trace.story(session, issued.id)
    assert [(each.kind, each.version) for each in story] == [("issued", 1), ("changed", 2)]
    assert story[-1].details == BECAUSE


async def test_ten_changes_before_the_worker_comes_are_one_job(session):
    issued = await make_issued(session)

    for _ in range(10):
        await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=NOON)

    assert await jobs(session) == 1
    assert (await session.scalars(select(Update.wanted_version))).one() == 11


async def test_changes_within_a_second_give_the_pass_dates_a_second_apart(session):
    """Phones compare whole seconds: equal dates would hide the second change behind a 304."""
    issued = await make_issued(session)
    dates = []

    for _ in range(3):
        await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=NOON)
        dates.append((await session.scalars(select(Pass.last_modified))).one())

    assert dates == [int(NOON.timestamp()) + each for each in (1, 2, 3)]


async def test_the_date_catches_up_with_the_clock(session):
    issued = await make_issued(session)
    later = NOON + timedelta(minutes=5)

    await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=later)

    assert (await session.scalars(select(Pass.last_modified))).one() == int(later.timestamp())


async def test_a_new_message_stands_on_the_pass_and_the_next_change_keeps_it(session):
    issued = await make_issued(session)

    await versions.mark_changed(
        session, issued.program_id, [issued.id], because=BECAUSE, message="Double points", now=NOON
    )
    await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=NOON)

    assert (await session.scalars(select(Pass.message))).one() == "Double points"


async def test_every_active_pass_of_an_account_changes_and_voided_ones_do_not(session):
    account = await make_account(session)
    mothers, childs, lost = [await make_issued(session, account) for _ in range(3)]
    await set_state(session, lost.program_id, lost.id, "voided", reason="lost", now=NOON)

    await versions.mark_account_changed(session, account.program_id, account.id, because=BECAUSE, now=NOON)

    found = {row.id: row.version for row in await session.execute(select(Pass.id, Pass.version))}
    assert found == {mothers.id: 2, childs.id: 2, lost.id: 2}


async def owe_google(session, issued):
    """Have the pass live in Google's wallet too, at its first version."""
    session.add(
        Update(
            pass_id=issued.id,
            wallet=GOOGLE,
            program_id=issued.program_id,
            wanted_version=1,
            sent_version=1,
            wanted_at=NOON,
            touched_at=NOON,
        )
    )
    await session.flush()


async def jobs_by_kind(session) -> dict[str, int]:
    return {each.kind: each.count for each in await job_queue.stats(session)}


async def test_a_change_is_owed_to_each_wallet_the_pass_lives_in_by_its_own_job(session):
    both, apple_only = [await make_issued(session) for _ in range(2)]
    await owe_google(session, both)

    for issued in (both, apple_only):
        await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=NOON)

    assert await jobs_by_kind(session) == {"push_apple": 2, "update_google": 1}
    owed = await session.execute(select(Update.wallet, Update.wanted_version).order_by(Update.wallet))
    assert owed.all() == [("apple", 2), ("apple", 2), ("google", 2)]


async def test_a_campaigns_change_waits_in_a_job_of_its_own_at_google(session):
    issued = await make_issued(session)
    await owe_google(session, issued)

    for priority in (kinds.BULK, kinds.LIVE):
        await versions.mark_changed(
            session, issued.program_id, [issued.id], because=BECAUSE, priority=priority, now=NOON
        )

    found = await jobs_by_kind(session)
    assert (found["update_google"], found["update_google_bulk"]) == (1, 1)


async def test_what_one_wallet_was_told_the_other_is_still_owed(session):
    issued = await make_issued(session)
    await owe_google(session, issued)
    await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=NOON)

    taken = await outbox.take(session, issued.id, APPLE, now=NOON)
    await outbox.mark_sent(session, taken, now=NOON)

    assert await outbox.take(session, issued.id, APPLE, now=NOON) is outbox.Idle.NOTHING_OWED
    assert (await outbox.take(session, issued.id, GOOGLE, now=NOON)).version == 2


async def test_a_purchase_does_not_wait_for_the_job_of_a_campaign(session):
    issued = await make_issued(session)
    change = {"because": BECAUSE, "now": NOON}

    for priority in (kinds.BULK, kinds.BULK, kinds.LIVE, kinds.LIVE, kinds.BULK):
        await versions.mark_changed(session, issued.program_id, [issued.id], **change, priority=priority)

    assert await jobs(session) == 2


async def test_a_change_during_a_push_is_pushed_again_at_once(sessions):
    async with sessions.begin() as session:
        issued = await make_issued(session)
    await change(sessions, issued)
    async with sessions.begin() as session:
        taken = await outbox.take(session, issued.id, APPLE, now=NOON)

    await change(sessions, issued)
    async with sessions.begin() as session:
        await outbox.mark_sent(session, taken, now=NOON)

    async with sessions.begin() as session:
        again = await outbox.take(session, issued.id, APPLE, now=NOON)
    assert (taken.version, again.version) == (2, 3)


async def test_a_pass_is_taken_by_one_worker_at_a_time(sessions):
    async with sessions.begin() as session:
        issued = await make_issued(session)
    await change(sessions, issued)

    async def take():
        async with sessions.begin() as session:
            return await outbox.take(session, issued.id, APPLE, now=NOON)

    takes = await asyncio.gather(*(take() for _ in range(5)))

    assert sum(isinstance(each, outbox.Taken) for each in takes) == 1
    busy = [each.seconds for each in takes if isinstance(each, outbox.Later)]
    assert busy == [outbox.LEASE.total_seconds()] * 4


async def test_a_dead_workers_pass_is_taken_over_after_its_lease(sessions):
    async with sessions.begin() as session:
        issued = await make_issued(session)
    await change(sessions, issued)
    async with sessions.begin() as session:
        await outbox.take(session, issued.id, APPLE, now=NOON)

    async with sessions.begin() as session:
        over = await outbox.take(session, issued.id, APPLE, now=NOON + outbox.LEASE + timedelta(seconds=1))

    assert over.version == 2


async def test_what_was_sent_is_not_owed_any_more(sessions):
    async with sessions.begin() as session:
        issued = await make_issued(session)
    await change(sessions, issued)
    async with sessions.begin() as session:
        taken = await outbox.take(session, issued.id, APPLE, now=NOON)
        await outbox.mark_sent(session, taken, now=NOON)

    async with sessions.begin() as session:
        assert await outbox.take(session, issued.id, APPLE, now=NOON) is outbox.Idle.NOTHING_OWED


@pytest.mark.parametrize(("silent_minutes", "found"), [(29, 0), (31, 1)])
async def test_the_sweep_finds_what_is_owed_and_has_been_silent(sessions, silent_minutes, found):
    async with sessions.begin() as session:
        issued = await make_issued(session)
        await versions.mark_changed(session, issued.program_id, [issued.id], because=BECAUSE, now=NOON)

    async with sessions.begin() as session:
        swept = await outbox.sweep(
            session,
            APPLE,
            silent_for=timedelta(minutes=30),
            limit=10,
            now=NOON + timedelta(minutes=silent_minutes),
        )
        again = await outbox.sweep(
            session,
            APPLE,
            silent_for=timedelta(minutes=30),
            limit=10,
            now=NOON + timedelta(minutes=silent_minutes),
        )

    assert (swept, again) == (found, 0)


async def test_what_the_sweep_takes_up_is_still_a_purchase_or_a_campaigns(sessions):
    async with sessions.begin() as session:
        bought, told = await make_issued(session), await make_issued(session)
        for issued, priority in ((bought, kinds.LIVE), (told, kinds.BULK)):
            await versions.mark_changed(
                session, issued.program_id, [issued.id], because=BECAUSE, priority=priority, now=NOON
            )
        await session.execute(text("DELETE FROM pgqueuer"))  # the accident

    async with sessions.begin() as session:
        later = NOON + timedelta(minutes=31)
        await outbox.sweep(session, APPLE, silent_for=timedelta(minutes=30), limit=10, now=later)

    async with sessions() as session:
        assert await jobs_by_kind(session) == {"push_apple": 1, "push_apple_chunk": 1}


async def test_concurrent_changes_and_sends_leave_nothing_owed(sessions):
    """Changes race a worker that takes and sends: in the end the newest version was sent."""
    async with sessions.begin() as session:
        issued = await make_issued(session)
    sent = []

    async def work():
        while not sent or sent[-1] < 31:
            async with sessions.begin() as session:
                taken = await outbox.take(session, issued.id, APPLE, now=NOON)
            if isinstance(taken, outbox.Taken):
                await asyncio.sleep(0)
                async with sessions.begin() as session:
                    await outbox.mark_sent(session, taken, now=NOON)
                sent.append(taken.version)
            await asyncio.sleep(0)

    async def three_times():
        for _ in range(10):
            await change(sessions, issued)

    await asyncio.wait_for(asyncio.gather(work(), *(three_times() for _ in range(3))), 60)

    async with sessions() as session:
        owed = (await session.scalars(select(Update))).one()
        kinds = (await session.scalars(select(TraceEvent.kind).where(TraceEvent.kind == "changed"))).all()
    assert (owed.wanted_version, owed.sent_version, len(kinds)) == (31, 31, 30)


async def test_a_worker_whose_lease_is_over_speaks_for_nobody(sessions):
    async with sessions.begin() as session:
        issued = await make_issued(session)
    await change(sessions, issued)
    later = NOON + outbox.LEASE + timedelta(seconds=1)
    async with sessions.begin() as session:
        late = await outbox.take(session, issued.id, APPLE, now=NOON)
    async with sessions.begin() as session:
        over = await outbox.take(session, issued.id, APPLE, now=later)

    async with sessions.begin() as session:
        await outbox.mark_failed(session, late, now=later)
        await outbox.mark_sent(session, late, now=later)
        await outbox.mark_refused(session, late, for_good=True, now=later)

    async with sessions.begin() as session:
        held = await session.get_one(Update, (issued.id, APPLE))
        assert (held.leased_until, held.attempts, held.sent_version) == (over.leased_until, 0, 1)
        await outbox.mark_sent(session, over, now=later)
    async with sessions.begin() as session:
        assert await outbox.take(session, issued.id, APPLE, now=later) is outbox.Idle.NOTHING_OWED


async def test_a_wallet_that_was_told_a_moment_ago_is_told_once_of_all_that_follows(sessions):
    gap = timedelta(seconds=3)
    async with sessions.begin() as session:
        issued = await make_issued(session)
    await change(sessions, issued)
    async with sessions.begin() as session:
        taken = await outbox.take(session, issued.id, APPLE, gap=gap, now=NOON)
        await outbox.mark_sent(session, taken, now=NOON)

    for _ in range(2):
        await change(sessions, issued)
    async with sessions.begin() as session:
        waits = await outbox.take(session, issued.id, APPLE, gap=gap, now=NOON + timedelta(seconds=1))
    assert isinstance(waits, outbox.Later)
    assert waits.seconds == 2

    async with sessions.begin() as session:
        taken = await outbox.take(session, issued.id, APPLE, gap=gap, now=NOON + gap)
    assert taken.version == 4
