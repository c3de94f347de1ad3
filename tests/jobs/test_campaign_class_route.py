"""A campaign that says the same to everybody reaches Google's cards by one message to their class."""

import json

import pytest
from sqlalchemy import select, text

from app.campaigns import speed, steering
from app.campaigns.consent import suppress
from app.errors import PermanentFailure
from app.jobs.class_messages import send_class_message
from app.jobs.update_google import update_google
from app.passes.issue import issue
from app.passes.models import ClassMessage, GoogleObject, Pass
from app.passes.versions import APPLE, GOOGLE, mark_changed
from tests.campaigns.conftest import Marketing
from tests.make import NOON, make_account, make_member, make_program

HOLDERS = 3
NEWS = {"texts": {"en": "Free cocoa on Friday", "ru": "Какао бесплатно в пятницу"}}


@pytest.fixture
def google(world, clock):
    world.google.clock = clock
    return world.google


@pytest.fixture
async def marketing(services):
    async with services.sessions.begin() as session:
        program = await make_program(session, country="KZ", currency="KZT", time_zone="Asia/Almaty")
    return Marketing(services.sessions, program)


@pytest.fixture
async def cards(services, google, marketing):
    return [await saved(services, google, marketing, number) for number in range(HOLDERS)]


async def saved(services, google, marketing, number):
    """A card that stands at Google, on a phone of its own."""
    async with services.sessions.begin() as session:
        member = await make_member(session, await make_account(session, marketing.program))
        issued = await issue(session, member, template="coffee", wallets=(APPLE, GOOGLE), now=NOON)
    await update_google(services, {"pass_id": issued.id})
    async with services.sessions.begin() as session:
        known = await session.get_one(GoogleObject, issued.id)
        known.has_users = True
    google.account(f"phone {number}").held.append(known.object_id)
    google.api.set_users(known.resource, known.object_id, has_users=True)
    return issued


async def waiting(services, kind):
    """The arguments of the jobs of a kind, which are taken out of the queue."""
    async with services.sessions.begin() as session:
        rows = await session.scalars(
            text("SELECT payload FROM pgqueuer WHERE entrypoint = :kind ORDER BY id"), {"kind": kind}
        )
        found = [json.loads(bytes(row)) for row in rows]
        await session.execute(text("DELETE FROM pgqueuer WHERE entrypoint = :kind"), {"kind": kind})
        return found


async def rings(google):
    return [len(google.account(f"phone {number}").notifications) for number in range(HOLDERS)]


async def states(services):
    async with services.sessions() as session:
        return list(await session.scalars(select(ClassMessage.state)))


async def carried_out(marketing, made):
    """Every chunk, while nobody tells the wallets."""
    await marketing.approve(made)
    while (await marketing.chunk(made)).state != "done":
        pass


async def do(services, kind, job, **options):
    for args in await waiting(services, kind):
        await job(services, args, **options)


async def test_one_message_rings_every_phone_once_and_no_card_is_touched(services, google, marketing, cards):
    await waiting(services, "update_google")
    made = await marketing.plan(NEWS)
    assert made.totals["google"] == {"route": "class", "why": "", "cards": 3, "calls": 2, "seconds": 1}
    assert made.totals["notifications"]["google"] == {"rings": 3, "silent": 0, "deferred": 0}
    before = len(google.calls)

    await carried_out(marketing, made)
    assert await waiting(services, "update_google_bulk") == []
    await do(services, "class_message", send_class_message)

    assert [call.method for call in google.calls[before:]] == ["GET", "POST"]
    assert await rings(google) == [1, 1, 1]
    async with services.sessions() as session:
        assert set(await session.scalars(select(Pass.message))) == {"Free cocoa on Friday"}

    async with services.sessions.begin() as session:  # a purchase, later on
        ids = [card.id for card in cards]
        await mark_changed(session, marketing.program.id, ids, because={}, now=NOON)
    await do(services, "update_google", update_google)
    assert not [call for call in google.calls[before + 2 :] if "addMessage" in call.path]
    assert await rings(google) == [1, 1, 1]


async def test_who_refuses_before_it_begins_has_the_others_told_one_by_one(
    services, google, marketing, cards
):
    made = await marketing.plan(NEWS)
    async with services.sessions.begin() as session:
        member_id = (await session.get_one(Pass, cards[0].id)).member_id
        await suppress(session, marketing.program.id, member_id, "wallet", reason="asked", now=NOON)

    await carried_out(marketing, made)
    await do(services, "update_google_bulk", update_google, is_bulk=True)

    assert await states(services) == []
    assert await rings(google) == [0, 1, 1]


async def test_who_saves_the_card_meanwhile_reads_nothing_and_the_others_are_told_one_by_one(
    services, google, marketing, cards, monkeypatch
):
    monkeypatch.setattr(speed, "CHUNK", 2)
    made = await marketing.plan(NEWS)
    await marketing.approve(made)
    await marketing.chunk(made)
    assert await states(services) == ["prepared"]
    await saved(services, google, marketing, HOLDERS)

    while (await marketing.chunk(made)).state != "done":
        pass
    assert await waiting(services, "class_message") == []
    await do(services, "update_google_bulk", update_google, is_bulk=True)

    assert await states(services) == ["refused"]
    assert await rings(google) == [1, 1, 1]
    assert google.account(f"phone {HOLDERS}").notifications == []


async def test_who_refuses_while_the_message_waits_is_not_told_and_the_others_are_one_by_one(
    services, google, marketing, cards
):
    await carried_out(marketing, await marketing.plan(NEWS))
    async with services.sessions.begin() as session:
        member_id = (await session.get_one(Pass, cards[0].id)).member_id
        await suppress(session, marketing.program.id, member_id, "wallet", reason="asked", now=NOON)

    await do(services, "class_message", send_class_message)
    await do(services, "update_google_bulk", update_google, is_bulk=True)

    assert await states(services) == ["refused"]
    assert await rings(google) == [0, 1, 1]


async def test_a_stop_tells_those_at_google_whose_pass_has_the_text(
    services, google, marketing, cards, monkeypatch
):
    monkeypatch.setattr(speed, "CHUNK", 2)
    made = await marketing.plan(NEWS)
    await marketing.approve(made)
    await marketing.chunk(made)
    async with services.sessions.begin() as session:
        await steering.stop(session, marketing.program.id, made.campaign_id, reason="typo", now=NOON)

    assert await waiting(services, "class_message") == []
    await do(services, "update_google_bulk", update_google, is_bulk=True)

    assert sorted(await rings(google)) == [0, 1, 1]


async def test_what_google_refuses_for_the_class_goes_to_each_card(services, google, marketing, cards):
    made = await marketing.plan(NEWS)
    await carried_out(marketing, made)
    [args] = await waiting(services, "class_message")
    async with services.sessions.begin() as session:
        message = await session.get_one(ClassMessage, args["message_id"])
        message.class_id = message.class_id + ".gone"
        for known in await session.scalars(select(GoogleObject)):
            known.class_id = message.class_id

    with pytest.raises(PermanentFailure):
        await send_class_message(services, args)
    await do(services, "update_google_bulk", update_google, is_bulk=True)

    assert await states(services) == ["refused"]
    assert await rings(google) == [1, 1, 1]


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        (NEWS | {"points": 5}, "gives_points"),
        ({"texts": {"en": "Hello, {{ member_name }}"}}, "names_the_member"),
        (NEWS | {"zone": "member"}, "own_clocks"),
        (NEWS | {"hold_out_percent": 10}, "is_a_test"),
        ({"texts": {"en": "x" * 501}}, "too_long"),
        ({"texts": {"ru": "Какао"}, "default_language": "ru"}, "no_text_in_our_language"),
        (NEWS | {"condition": {"field": "name", "op": "is", "value": "Boris"}}, "others_hold_it"),
    ],
)
async def test_the_plan_says_why_cards_are_told_one_by_one(
    services, google, marketing, cards, definition, why
):
    async with services.sessions.begin() as session:
        await session.execute(
            text("UPDATE members SET name = 'Boris' WHERE id = (SELECT min(id) FROM members)")
        )

    made = await marketing.plan(definition)

    google_plan = made.totals["google"]
    assert (google_plan["route"], google_plan["why"]) == ("object", why)
    assert google_plan["calls"] == 3 * google_plan["cards"] > 0
    assert made.totals["duration_seconds"] >= google_plan["seconds"]
