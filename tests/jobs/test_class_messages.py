"""One message to everybody who holds a pass in Google Wallet, over the simulated Google."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.errors import PermanentFailure, TemporaryFailure
from app.jobs.class_messages import send_class_message
from app.jobs.update_google import update_google
from app.members.models import Program
from app.passes import class_messages, trace
from app.passes.class_messages import BadClassMessage, NoClass, Wording
from app.passes.issue import issue
from app.passes.models import ClassMessage, GoogleObject
from app.passes.versions import APPLE, GOOGLE
from app.simulators.google_wallet import Faults
from tests.make import NOON, make_account, make_member, make_program

NEWS = {"en": "Free cocoa on Friday", "ru": "Какао бесплатно в пятницу"}
HOLDERS = 3


@pytest.fixture
def google(world, clock):
    world.google.clock = clock
    return world.google


@pytest.fixture
async def program(services):
    async with services.sessions.begin() as session:
        return await make_program(session, country="KZ", currency="KZT", time_zone="Asia/Almaty")


@pytest.fixture
async def cards(services, google, program):
    """Passes on phones of their own, and one more that nobody saved."""
    passes = []
    for number in range(HOLDERS + 1):
        async with services.sessions.begin() as session:
            member = await make_member(session, await make_account(session, program))
            issued = await issue(session, member, template="coffee", wallets=(APPLE, GOOGLE), now=NOON)
        await update_google(services, {"pass_id": issued.id})
        if number < HOLDERS:
            async with services.sessions.begin() as session:
                known = await session.get_one(GoogleObject, issued.id)
                known.has_users = True
            google.account(f"phone {number}").held.append(known.object_id)
            google.api.set_users(known.resource, known.object_id, has_users=True)
        passes.append(issued)
    return passes


async def write(services, program, *, now=NOON, **wording):
    async with services.sessions.begin() as session:
        owner = await session.get_one(Program, program.id)
        [made] = await class_messages.create(
            session, owner, Wording(**{"texts": NEWS} | wording), template="coffee", by="anna", now=now
        )
    return made


async def send(services, message):
    await send_class_message(services, {"message_id": message.id})


async def state(services, message):
    async with services.sessions() as session:
        found = await session.get_one(ClassMessage, message.id)
        return found.state, found.notify, found.why


async def test_one_call_rings_every_phone_and_stands_in_every_story(services, google, program, cards):
    message = await write(services, program)
    before = len(google.calls)
    await send(services, message)
    await send(services, message)  # a job may run again

    assert [call.method for call in google.calls[before:]] == ["GET", "POST"]
    assert [len(google.account(f"phone {number}").notifications) for number in range(HOLDERS)] == [1, 1, 1]
    assert await state(services, message) == ("sent", "rings", "within_budget")
    async with services.sessions() as session:
        assert (await session.get_one(ClassMessage, message.id)).holders == HOLDERS
        lines = [await trace.story(session, each.id) for each in cards]
    told = [
        [line.details["notify"] for line in story if line.kind == trace.GOOGLE_MESSAGE] for story in lines
    ]
    assert told == [["rings"], ["rings"], ["rings"], []]
    [stored] = google.card(await _object_id(services, cards[0])).of_class["messages"]
    assert stored["localizedBody"]["translatedValues"] == [{"language": "ru", "value": NEWS["ru"]}]
    assert stored["displayInterval"]["end"]["date"] == (NOON + timedelta(days=30)).isoformat()


async def _object_id(services, card):
    async with services.sessions() as session:
        return (await session.get_one(GoogleObject, card.id)).object_id


async def test_an_answer_that_was_lost_doubles_no_message(services, google, program, cards):
    message = await write(services, program)
    google.faults = Faults(lost=1.0, lost_at="addMessage")
    with pytest.raises(TemporaryFailure):
        await send(services, message)
    google.faults = Faults()
    await send(services, message)

    assert [each["id"] for each in at_google(google, message)] == [message.id]
    assert await state(services, message) == ("sent", "rings", "within_budget")


def at_google(google, message):
    return google.api.store.get(message.resource, message.class_id).get("messages", [])


async def test_the_fourth_of_a_day_is_silent_and_the_class_keeps_ten(services, google, clock, program, cards):
    sent = []
    for _ in range(12):
        clock.tick(60)
        sent.append(await write(services, program, now=clock()))
        await send(services, sent[-1])

    outcomes = [(await state(services, each))[1:] for each in sent]
    assert outcomes == [("rings", "within_budget")] * 3 + [("silent", "day_full")] * 9
    assert [each["id"] for each in at_google(google, sent[0])] == [each.id for each in sent[-10:]]

    clock.tick(24 * 3600)
    again = await write(services, program, now=clock())
    await send(services, again)
    assert await state(services, again) == ("sent", "rings", "within_budget")


async def test_it_waits_for_the_end_of_the_quiet_hours(services, google, clock, program, cards):
    async with services.sessions.begin() as session:
        (await session.get_one(Program, program.id)).quiet_hours = "16:00-18:00"  # NOON is 17:00 there
    message = await write(services, program)
    with pytest.raises(TemporaryFailure, match="quiet_hours") as failure:
        await send(services, message)
    assert failure.value.retry_after_seconds == 3600
    assert await state(services, message) == ("queued", "", "quiet_hours")

    clock.tick(3600)
    await send(services, message)
    assert await state(services, message) == ("sent", "rings", "within_budget")


async def test_a_silent_one_rings_nobody(services, google, program, cards):
    message = await write(services, program, asks_to_ring=False)
    await send(services, message)

    assert google.account("phone 0").notifications == []
    assert await state(services, message) == ("sent", "silent", "not_asked_to")


async def test_a_class_that_google_lost_is_said_once_and_not_asked_for_ever(services, google, program, cards):
    message = await write(services, program)
    google.api.store.drop(message.class_id)
    with pytest.raises(PermanentFailure, match="no such class"):
        await send(services, message)

    assert (await state(services, message))[0] == "refused"


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    ("wording", "pointer"),
    [
        ({"texts": {"ru": "Какао"}}, "/texts/en"),
        ({"texts": {"en": " "}}, "/texts/en"),
        ({"texts": {"en": "x" * 501}}, "/texts/en"),
        ({"header": " "}, "/header"),
        ({"shown_until": NOON}, "/shown_until"),
    ],
)
async def test_what_cannot_be_shown_is_refused_by_name(services, google, program, cards, wording, pointer):
    with pytest.raises(BadClassMessage) as refused:
        await write(services, program, **wording)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize("database", ["sqlite"])
async def test_where_google_has_no_pass_there_is_nobody_to_write_to(services, program):
    with pytest.raises(NoClass, match="coffee"):
        await write(services, program)
    async with services.sessions() as session:
        assert (await session.scalars(select(ClassMessage))).all() == []
