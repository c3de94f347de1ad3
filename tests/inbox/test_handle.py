"""What sources deliver moves points once, and what cannot be carried out rests with a reason."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from app.inbox import handle, reasons
from app.jobs.handle_inbound import give_up, handle_inbound
from app.members.models import Member, Message, Notice
from app.passes.models import Update
from app.passes.versions import APPLE, GOOGLE
from app.points.models import Entry
from tests.inbox.conftest import PHONE
from tests.make import make_account, make_member

RESTING = [
    ({"type": "points", "id": "1", "points": 5}, "no_person"),
    ({"type": "points", "id": "1", "points": 5, "contact": "c:9"}, "no_phone"),
    ({"type": "points", "id": "1", "points": 5, "phone": "12"}, "bad_phone"),
    ({"type": "points", "id": "1", "points": 5, "phone": "+79160000000"}, "unknown_contact"),
    ({"type": "points", "id": "1", "points": 5, "card": "nope"}, "unknown_card"),
    ({"type": "points", "id": "1", "points": "many", "phone": PHONE}, "bad_points"),
    ({"type": "points", "id": "1", "points": 0, "phone": PHONE}, "bad_points"),
    ({"type": "points", "id": "1", "points": -5, "phone": PHONE}, "not_enough_points"),
    ({"type": "points", "points": 5, "phone": PHONE}, "unreadable"),
    ({"type": "order", "order": 1, "amount": "10", "currency": "USD", "phone": PHONE}, "foreign_currency"),
    ({"type": "order", "order": 1, "amount": "-10", "phone": PHONE}, "negative_amount"),
    ({"type": "order", "order": 1, "amount": "1,000", "phone": PHONE}, "bad_amount"),
    ({"type": "return", "order": 9, "id": "r", "amount": "1"}, "unknown_purchase"),
    ({"type": "join", "phone": "+79160000000"}, "no_name"),
    ({"type": "join", "name": "Вера"}, "no_phone"),
]


async def test_what_cannot_be_carried_out_rests_with_a_reason_in_words(sender, services):
    rested = [await sender.tell(**event) for event, _ in RESTING]

    assert [(each.state, each.reason) for each in rested] == [("rested", reason) for _, reason in RESTING]
    for each in rested:
        for language in ("ru", "en"):
            assert "{" not in reasons.text_of(services.texts, language, each.reason, each.details)
    assert await sender.balance() == 0


async def test_an_event_moves_points_once_however_often_it_is_delivered(sender):
    event = {"type": "points", "id": "visit:1", "phone": "8 (916) 123-45-67", "points": 10}

    assert [await sender.deliver("evt", **event) for _ in range(3)] == [202, 202, 202]
    await sender.work()
    again = await sender.tell(**event)  # under another id of its own, the same reference

    assert await sender.balance() == 10
    assert [each.state for each in await sender.inbox()] == ["handled", "handled"]
    assert again.details["did"][0].startswith("ent_")


async def test_a_crash_between_the_work_and_its_mark_posts_nothing_twice(sender, services):
    event = await sender.tell(type="points", id="visit:1", phone=PHONE, points=10)
    async with services.sessions.begin() as session:
        await session.execute(update(type(event)).values(state="received"))

    await handle_inbound(services, {"event_id": event.id})

    assert await sender.balance() == 10
    assert (await sender.inbox())[0].state == "handled"


async def test_once_the_cause_is_mended_a_replay_carries_it_out(sender, services):
    rested = await sender.tell(type="points", id="visit:1", phone="+79160000000", points=10)
    async with services.sessions.begin() as session:
        account = await make_account(session, sender.program, phone="+79160000000")
        await make_member(session, account)
        await handle.replay(session, sender.program.id, rested.id)
    await sender.work()

    assert await sender.balance("+79160000000") == 10
    mended = (await sender.inbox())[0]
    assert (mended.state, mended.reason, mended.attempts) == ("handled", None, 2)


async def test_only_what_rests_is_replayed(sender, services):
    handled = await sender.tell(type="points", id="visit:1", phone=PHONE, points=10)

    async with services.sessions.begin() as session:
        with pytest.raises(handle.NotReplayable):
            await handle.replay(session, sender.program.id, handled.id)
        assert await handle.replay_all(session, sender.program.id) == 0


async def test_what_nobody_tries_any_more_rests(sender, services):
    await sender.deliver(type="points", id="visit:1", phone=PHONE, points=10)
    (event,) = await sender.inbox()

    await give_up(services, {"event_id": event.id})

    assert [(each.state, each.reason) for each in await sender.inbox()] == [("rested", "gave_up")]


async def test_a_delivery_that_concerns_nobody_is_handled_and_does_nothing(sender):
    ignored = await sender.tell(type="something.else")

    assert (ignored.state, ignored.details) == ("handled", {"did": []})


async def test_points_are_spent_only_as_far_as_they_go(sender):
    await sender.tell(type="points", id="visit:1", phone=PHONE, points=10)

    spent = await sender.tell(type="spend", id="pay:1", phone=PHONE, points=-7)
    too_much = await sender.tell(type="spend", id="pay:2", phone=PHONE, points=-7)

    assert (spent.state, too_much.reason) == ("handled", "not_enough_points")
    assert await sender.balance() == 3


async def test_who_joins_becomes_one_member_with_one_sms_and_one_notice(sender, services):
    for contact in ("lead:1", "deal:1", "contact:1"):  # one form makes three things in a CRM
        joined = await sender.tell(type="join", contact=contact, phone="8 916 000-00-00", name="Вера")
        assert joined.state == "handled"

    async with services.sessions() as session:
        members = (await session.scalars(select(Member).where(Member.name == "Вера"))).all()
        counts = [await session.scalar(select(func.count()).select_from(each)) for each in (Message, Notice)]
    assert [each.phone for each in members] == ["+79160000000"]
    assert counts == [1, 1]
    assert await sender.balance("+79160000000") == 50


async def test_a_contact_found_by_phone_stays_the_same_member_when_the_phone_changes(sender, services):
    await sender.tell(type="points", id="1", contact="c:1", phone=PHONE, name="Анна Петрова", points=5)

    moved = await sender.tell(type="contact", contact="c:1", phone="+79160000099", email="a@example.com")
    await sender.tell(type="points", id="2", contact="c:1", points=5)

    assert moved.state == "handled"
    assert await sender.balance("+79160000099") == 10


async def test_a_contact_does_not_take_over_another_accounts_phone(sender):
    await sender.tell(type="join", contact="c:2", phone="+79160000002", name="Вера")

    taken = await sender.tell(type="contact", contact="c:2", phone=PHONE)

    assert taken.reason == "phone_taken"


async def test_a_second_person_on_a_phone_shares_the_account(sender, services):
    await sender.tell(type="join", contact="c:1", phone=PHONE, name="Анна Петрова")
    await sender.tell(type="join", contact="c:2", phone=PHONE, name="Миша")
    await sender.tell(type="points", id="1", contact="c:2", points=5)

    async with services.sessions() as session:
        who = (await session.scalars(select(Entry.member_id).where(Entry.source_event == "1"))).one()
        members = (await session.scalars(select(Member).order_by(Member.id))).all()
    assert {each.account_id for each in members} == {members[0].account_id}
    assert [each.name for each in members if each.id == who] == ["Миша"]


async def test_a_card_from_a_crm_lives_in_every_wallet_the_installation_offers(sender, services):
    everywhere = services.settings.model_copy(update={"google_unavailable_countries": []})
    offered = replace(services, google=object(), settings=everywhere)

    await sender.deliver(type="join", contact="c:9", phone="+79160000009", name="Вера")
    (event,) = await sender.inbox()
    await handle_inbound(offered, {"event_id": event.id})

    async with services.sessions() as session:
        assert set(await session.scalars(select(Update.wallet))) == {APPLE, GOOGLE}
