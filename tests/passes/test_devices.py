"""Registrations, what changed since a tag, and what pushes came to, on both databases."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import UtcDateTime
from app.passes import devices, outbox, trace
from app.passes.issue import UnknownPass, issue
from app.passes.models import Pass, Registration
from app.passes.versions import APPLE, mark_changed
from app.wallets.apple.push import PushOutcome, PushResult, PushTarget
from tests.make import NOON, make_member

TOKEN = "ab" * 32
HELD = text("""
    SELECT p.id, p.program_id, p.serial_number, p.version, p.last_modified, r.registered_at
    FROM registrations r JOIN passes p ON p.id = r.pass_id WHERE r.device_library_identifier = :device
""").columns(registered_at=UtcDateTime())
OTHER_TOKEN = "cd" * 32


@dataclass
class Phone:
    """Calls the functions as one device would."""

    session: AsyncSession
    device: str = "device-1"
    push_token: str = TOKEN
    tag: str | None = None

    async def register(self, held: Pass, *, now: datetime = NOON) -> bool:
        return await devices.register(
            self.session,
            held.serial_number,
            device_library_identifier=self.device,
            push_service="apns",
            push_token=self.push_token,
            now=now,
        )

    async def ask(self, *, now: datetime = NOON) -> list[str]:
        """The serial numbers told, in order; the tag is kept for the next time, as a phone does."""
        rows = await self.session.execute(HELD, {"device": self.device})
        changes = devices.changed_since(rows.all(), self.tag, now=now)
        self.tag = changes.tag or self.tag
        return changes.serial_numbers


@pytest.fixture
async def card(session):
    return await issue(session, await make_member(session), template="coffee", now=NOON)


async def another(session, card):
    member = await make_member(session)
    other = await issue(session, member, template="coffee", now=NOON)
    return other


async def change(session, *passes, at=NOON):
    for each in passes:
        await mark_changed(session, each.program_id, [each.id], because={"test": "change"}, now=at)
        await session.refresh(each)


async def kinds(session, card):
    return [line.kind for line in await trace.story(session, card.id)]


async def test_a_first_registration_is_new_and_a_repeated_one_is_not(session, card):
    phone = Phone(session)

    assert [await phone.register(card), await phone.register(card)] == [True, False]
    assert await kinds(session, card) == [trace.ISSUED, trace.INSTALLED]


async def test_registering_again_moves_the_pushes_to_the_new_token(session, card):
    await Phone(session).register(card)
    await Phone(session, push_token=OTHER_TOKEN).register(card)
    await change(session, card)

    taken = await outbox.take(session, card.id, APPLE, now=NOON)

    assert [target.push_token for target in taken.targets] == [OTHER_TOKEN]


async def test_of_five_hundred_device_ids_twenty_are_kept_those_seen_last(session, card):
    for number in range(60):
        await Phone(session, device=f"device-{number}").register(card, now=NOON + timedelta(seconds=number))

    kept = set(await session.scalars(select(Registration.device_library_identifier)))
    assert kept == {f"device-{number}" for number in range(40, 60)}


async def test_a_device_that_comes_back_is_not_the_one_evicted(session, card):
    for number in range(20):
        await Phone(session, device=f"device-{number}").register(card, now=NOON + timedelta(seconds=number))
    await Phone(session, device="device-0").register(card, now=NOON + timedelta(seconds=30))

    await Phone(session, device="newcomer").register(card, now=NOON + timedelta(seconds=31))

    kept = set(await session.scalars(select(Registration.device_library_identifier)))
    assert {"device-0", "newcomer"} < kept
    assert "device-1" not in kept


async def test_unregistering_forgets_one_device_and_may_be_repeated(session, card):
    await Phone(session).register(card)
    await Phone(session, device="device-2").register(card)

    went = [
        await devices.unregister(session, card.serial_number, device_library_identifier="device-1", now=NOON)
        for _ in range(2)
    ]

    assert went == [True, False]
    assert list(await session.scalars(select(Registration.device_library_identifier))) == ["device-2"]
    assert (await kinds(session, card))[-1] == trace.UNINSTALLED


async def test_an_unknown_pass_cannot_be_registered(session):
    with pytest.raises(UnknownPass):
        await Phone(session).register(Pass(serial_number="nobody"))


async def test_a_phone_that_installs_the_first_version_is_not_pushed_to(session, card):
    await Phone(session).register(card)

    assert await outbox.take(session, card.id, APPLE, now=NOON) is outbox.Idle.NOTHING_OWED


async def test_a_phone_that_may_have_downloaded_an_older_version_is_told_and_only_it(session, card):
    await Phone(session).register(card)
    await change(session, card)
    await tell_everyone(session, card)

    await Phone(session, device="device-2", push_token=OTHER_TOKEN).register(card)
    taken = await outbox.take(session, card.id, APPLE, now=NOON)

    assert [target.push_token for target in taken.targets] == [OTHER_TOKEN]
    await tell(session, taken)
    assert await outbox.take(session, card.id, APPLE, now=NOON) is outbox.Idle.NOTHING_OWED


async def test_a_phone_that_registers_while_a_push_is_on_its_way_is_told_by_the_next(session, card):
    await Phone(session).register(card)
    await change(session, card)
    on_its_way = await outbox.take(session, card.id, APPLE, now=NOON)
    await Phone(session, device="device-2", push_token=OTHER_TOKEN).register(card)
    await tell(session, on_its_way)

    taken = await outbox.take(session, card.id, APPLE, now=NOON)

    assert [target.push_token for target in taken.targets] == [OTHER_TOKEN]


async def tell_everyone(session, card):
    await tell(session, await outbox.take(session, card.id, APPLE, now=NOON))


async def tell(session, taken):
    await record(session, taken, PushResult(PushOutcome.ACCEPTED, apns_id="A-1"))
    await outbox.mark_sent(session, taken, now=NOON)


async def record(session, taken, result, failure=""):
    told = [(PushTarget("apns", target.push_token), result, failure) for target in taken.targets]
    await devices.record_pushes(
        session, taken.program_id, taken.pass_id, taken.version, told, sent_at=NOON, now=NOON
    )


async def test_an_accepted_push_is_traced_with_the_id_apple_gave_it(session, card):
    await Phone(session).register(card)
    await change(session, card)

    await tell_everyone(session, card)

    line = (await trace.story(session, card.id))[-1]
    assert (line.kind, line.version, line.details["apns_id"]) == (trace.PUSH_ACCEPTED, 2, "A-1")
    assert await session.scalar(select(Registration.pushed_version)) == 2


async def test_a_phone_quicker_than_apples_answer_still_fetches_after_the_push_in_the_story(session, card):
    await Phone(session).register(card)
    await change(session, card)
    taken = await outbox.take(session, card.id, APPLE, now=NOON)
    second = NOON + timedelta(seconds=1)
    await trace.record(session, card.program_id, [card.id], trace.FETCHED, version=2, now=second)

    await tell(session, taken)

    assert (await kinds(session, card))[-2:] == [trace.PUSH_ACCEPTED, trace.FETCHED]


async def test_a_token_that_is_gone_is_forgotten_for_all_passes_of_the_phone(session, card):
    other = await another(session, card)
    for each in (card, other):
        await Phone(session).register(each)
        await Phone(session, device="device-2", push_token=OTHER_TOKEN).register(each)
    await change(session, card)
    taken = await outbox.take(session, card.id, APPLE, now=NOON)
    gone = PushResult(PushOutcome.DEVICE_GONE, reason="Unregistered")

    told = [(PushTarget("apns", TOKEN), gone, "")]
    await devices.record_pushes(
        session, card.program_id, card.id, taken.version, told, sent_at=NOON, now=NOON
    )

    assert set(await session.scalars(select(Registration.push_token))) == {OTHER_TOKEN}
    assert (await kinds(session, card))[-1] == trace.DEVICE_GONE
    assert (await kinds(session, other))[-1] == trace.DEVICE_GONE


async def test_a_push_that_fails_for_days_leaves_one_line(session, card):
    await Phone(session).register(card)
    await change(session, card)
    taken = await outbox.take(session, card.id, APPLE, now=NOON)

    for _ in range(3):
        await record(session, taken, None, "APNs: no connection")

    lines = [line for line in await trace.story(session, card.id) if line.kind == trace.PUSH_REFUSED]
    assert [line.details["reason"] for line in lines] == ["APNs: no connection"]


# What changed since


async def test_without_a_tag_every_pass_of_the_device_is_told(session, card):
    other = await another(session, card)
    phone = Phone(session)
    await phone.register(card)
    await phone.register(other)
    await Phone(session, device="device-2").register(await another(session, card))

    assert sorted(await phone.ask()) == sorted([card.serial_number, other.serial_number])


async def test_a_poll_after_the_newest_answer_is_told_nothing_at_once(session, card):
    phone = Phone(session)
    await phone.register(card)
    await phone.ask()
    await change(session, card)

    assert [await phone.ask(), await phone.ask()] == [[card.serial_number], []]


async def test_changes_in_the_second_of_the_answer_are_told(session, card):
    phone = Phone(session)
    await phone.register(card)
    told = []
    for _ in range(5):  # all within one second of the clock
        await change(session, card)
        told.append(await phone.ask())

    assert told == [[card.serial_number]] * 5


async def test_the_tag_rises_with_every_answer_even_within_one_second(session, card):
    phone = Phone(session)
    await phone.register(card)
    tags = []
    for _ in range(5):
        await change(session, card)
        await phone.ask()
        tags.append(int(phone.tag))

    assert tags == sorted(set(tags))


async def test_every_changed_pass_is_told_not_only_the_newest(session, card):
    other = await another(session, card)
    phone = Phone(session)
    await phone.register(card)
    await phone.register(other)
    await phone.ask(now=NOON + timedelta(hours=1))
    await change(session, card, at=NOON + timedelta(hours=2))
    await change(session, other, at=NOON + timedelta(hours=3))

    told = await phone.ask(now=NOON + timedelta(hours=4))

    assert sorted(told) == sorted([card.serial_number, other.serial_number])


async def test_a_pass_that_did_not_change_for_long_is_not_told_with_one_that_did(session, card):
    other = await another(session, card)
    phone = Phone(session)
    await phone.register(card)
    await phone.register(other)
    await phone.ask(now=NOON + timedelta(hours=1))
    await change(session, card, at=NOON + timedelta(hours=2))

    assert await phone.ask(now=NOON + timedelta(hours=2)) == [card.serial_number]


async def test_a_change_that_began_before_the_answer_and_was_committed_after_it_is_told(session, card):
    other = await another(session, card)
    phone = Phone(session)
    await phone.register(card)
    await phone.register(other)
    late = NOON + timedelta(hours=1)
    await change(session, other, at=late + timedelta(seconds=30))
    await phone.ask(now=late + timedelta(seconds=31))
    await change(session, card, at=late)  # the slow transaction's own time

    assert card.serial_number in await phone.ask(now=late + timedelta(seconds=40))


async def test_a_pass_far_ahead_of_the_clock_does_not_hide_another(session, card):
    other = await another(session, card)
    phone = Phone(session)
    await phone.register(card)
    await phone.register(other)
    await session.execute(
        update(Pass).where(Pass.id == card.id).values(version=5000, last_modified=Pass.last_modified + 5000)
    )
    await phone.ask(now=NOON + timedelta(seconds=1))
    await change(session, other, at=NOON + timedelta(seconds=2))

    assert other.serial_number in await phone.ask(now=NOON + timedelta(seconds=3))


async def test_a_pass_added_after_the_last_answer_is_told_though_it_changed_before(session, card):
    phone = Phone(session)
    await phone.register(card)
    old = await another(session, card)
    await change(session, old)
    await phone.ask(now=NOON + timedelta(days=2))

    await phone.register(old, now=NOON + timedelta(days=3))

    assert await phone.ask(now=NOON + timedelta(days=3)) == [old.serial_number]


@pytest.mark.parametrize("junk", ["", "null", "2030-06-03T12:00:00+03:00", "-1", "1e9", "٣", "9" * 31, "0"])
async def test_a_tag_that_is_not_ours_counts_as_none(session, card, junk):
    phone = Phone(session, tag=junk)
    await phone.register(card)

    assert await phone.ask() == [card.serial_number]


async def test_a_tag_of_a_clock_that_ran_ahead_loses_nothing(session, card):
    phone = Phone(session)
    await phone.register(card)
    await phone.ask(now=NOON + timedelta(days=4000))
    ahead = int(phone.tag)
    await change(session, card)

    assert await phone.ask(now=NOON) == [card.serial_number]
    assert int(phone.tag) > ahead


async def test_an_unknown_device_is_told_nothing(session):
    assert await Phone(session).ask() == []
