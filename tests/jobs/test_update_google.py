import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app import job_queue
from app.errors import PermanentFailure, TemporaryFailure
from app.jobs.update_google import offer_to_all, sweep, update_google
from app.members.models import Member, Program
from app.passes import trace
from app.passes.issue import issue, reissue, set_state
from app.passes.models import GoogleObject, Pass, Ring, Update
from app.passes.versions import APPLE, GOOGLE, mark_changed
from app.points import ledger
from app.simulators.google_wallet import Faults
from tests.make import NOON, make_account, make_member, make_program

BOTH = (APPLE, GOOGLE)

# Where the rows are no more than what other tests see on both databases.
sqlite_only = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def google(world, clock):
    """The simulator, on the services' clock."""
    world.google.clock = clock
    return world.google


async def issue_in(services, program):
    async with services.sessions.begin() as session:
        member = await make_member(session, await make_account(session, program))
        return await issue(session, member, template="coffee", wallets=BOTH, now=NOON)


async def run(services, issued, **options):
    await update_google(services, {"pass_id": issued.id}, **options)


@pytest.fixture
async def program(services):
    async with services.sessions.begin() as session:
        return await make_program(session, country="KZ", currency="KZT", time_zone="Asia/Almaty")


@pytest.fixture
async def card(services, google, program):
    """A pass that Google has."""
    issued = await issue_in(services, program)
    await run(services, issued)
    return issued


@pytest.fixture
async def phone(services, google, card):
    """The account of somebody whose phone holds the pass."""
    async with services.sessions.begin() as session:
        known = await session.get(GoogleObject, card.id)
        known.has_users = True
    account = google.account("anna")
    account.held.append(known.object_id)
    google.api.set_users(known.resource, known.object_id, has_users=True)
    return account


async def object_of(services, issued):
    async with services.sessions() as session:
        return await session.get(GoogleObject, issued.id)


async def at_google(services, google, issued):
    return google.card((await object_of(services, issued)).object_id)


async def earn(services, issued, points):
    now = services.clock()
    async with services.sessions.begin() as session:
        member = await session.get_one(Member, issued.member_id)
        movement = {"reason": "", "source": "test", "source_event": f"{issued.id}:{now}:{points}"}
        await ledger.earn(session, member.account_id, points, now=now, **movement)


async def change(services, clock, issued, points=5, **options):
    """A purchase, a minute later, that Google hears of; what the trace says of it."""
    clock.tick(60)
    await earn(services, issued, points)
    await run(services, issued, **options)
    return await last_line(services, issued)


async def last_line(services, issued):
    async with services.sessions() as session:
        line = (await trace.story(session, issued.id))[-1]
    return line.kind, line.details


async def owed(services, issued):
    async with services.sessions() as session:
        update = await session.get(Update, (issued.id, GOOGLE))
        return update.wanted_version - update.sent_version


def calls(google):
    return [f"{call.method} {call.path.split('/')[0]}" for call in google.calls]


async def test_a_new_pass_is_inserted_with_its_class(services, google, card):
    shown = await at_google(services, google, card)

    assert (shown.of_class["programName"], shown.of_class["reviewStatus"]) == ("Coffee House", "APPROVED")
    assert shown.of_object["loyaltyPoints"]["balance"] == {"string": "0"}
    assert await last_line(services, card) == ("google_inserted", {})
    assert await owed(services, card) == 0


@sqlite_only
async def test_a_second_pass_finds_its_class_there(services, google, program, card):
    google.calls.clear()

    await run(services, await issue_in(services, program))

    assert calls(google) == ["POST loyaltyObject"]


async def test_ten_passes_at_once_make_one_class(services, google, program):
    cards = [await issue_in(services, program) for _ in range(10)]

    async def insert(each):
        while await owed(services, each):
            try:
                await run(services, each)
            except TemporaryFailure as failure:
                services.clock.tick(failure.retry_after_seconds or 1)

    await asyncio.gather(*(insert(each) for each in cards))

    assert calls(google).count("POST loyaltyClass") == 1
    assert calls(google).count("POST loyaltyObject") == 10


@sqlite_only
async def test_a_changed_balance_is_all_that_is_sent_and_it_rings(services, google, clock, card, phone):
    google.calls.clear()

    told = await change(services, clock, card, 5)

    assert told == ("google_updated", {"notify": "rings", "why": "within_budget"})
    assert set(google.calls[0].body) == {"loyaltyPoints", "notifyPreference"}
    assert [each.cause for each in phone.notifications] == ["field"]
    assert (await at_google(services, google, card)).of_object["loyaltyPoints"]["balance"] == {"string": "5"}


async def test_the_fourth_ring_of_a_day_is_silent_and_tomorrow_it_rings_again(
    services, google, clock, card, phone
):
    told = [await change(services, clock, card) for _ in range(4)]
    clock.tick(timedelta(hours=24).total_seconds())
    tomorrow = await change(services, clock, card)

    assert [details["notify"] for _, details in told] == ["rings", "rings", "rings", "silent"]
    assert told[-1][1]["why"] == "day_full"
    assert tomorrow[1]["notify"] == "rings"
    assert len(phone.notifications) == 4
    assert (await at_google(services, google, card)).of_object["loyaltyPoints"]["balance"] == {"string": "25"}


@sqlite_only
async def test_nobody_is_asked_to_ring_who_is_not_there(services, google, clock, card):
    assert await change(services, clock, card) == (
        "google_updated",
        {"notify": "silent", "why": "held_by_nobody"},
    )
    assert "notifyPreference" not in google.calls[-1].body


@sqlite_only
async def test_what_is_no_balance_changes_in_silence(services, google, card, phone):
    async with services.sessions.begin() as session:
        because = {"message": "cmp_1"}
        await mark_changed(session, card.program_id, [card.id], because=because, message="News", now=NOON)

    await run(services, card)

    async with services.sessions() as session:
        updated = (await trace.story(session, card.id))[-2]
    assert updated.details == {"notify": "silent", "why": "balance_unchanged"}
    assert [each.cause for each in phone.notifications] == ["message"]


@sqlite_only
async def test_a_change_google_would_not_show_is_not_sent(services, google, card):
    google.calls.clear()
    async with services.sessions.begin() as session:
        await mark_changed(session, card.program_id, [card.id], because={}, now=NOON)

    await run(services, card)

    assert google.calls == []
    assert await owed(services, card) == 0


@sqlite_only
async def test_a_voided_pass_is_inactive_and_a_new_one_lives_at_google_too(services, google, card):
    async with services.sessions.begin() as session:
        newer = await reissue(session, card.program_id, card.id, reason="lost", now=NOON)

    for each in (card, newer):
        await run(services, each)

    states = [(await at_google(services, google, each)).of_object["state"] for each in (card, newer)]
    assert states == ["INACTIVE", "ACTIVE"]


@sqlite_only
async def test_a_field_that_is_no_more_goes_away_at_google(services, google, card):
    """The tier beside the balance: merged by a PATCH, it would stay for ever."""
    async with services.sessions.begin() as session:
        known = await session.get(GoogleObject, card.id)
        stale = {"heroImage": {"sourceUri": {"uri": "https://example.org/old.png"}}, "accountName": "Old"}
        body = {**google.card(known.object_id).of_object, **stale}
        google.store.put("loyaltyObject", body)
        known.sent = {**known.sent, "heroImage": "x.y", "accountName": "None.stale"}
        await mark_changed(session, card.program_id, [card.id], because={}, now=NOON)

    await run(services, card)

    stored = (await at_google(services, google, card)).of_object
    assert ("heroImage" in stored, stored["accountName"]) == (False, "Anna")


@sqlite_only
async def test_an_object_of_another_shape_is_replaced_and_keeps_its_messages(services, google, card):
    message = {"id": "m1", "header": "Hi", "body": "There"}
    async with services.sessions.begin() as session:
        known = await session.get(GoogleObject, card.id)
        body = google.card(known.object_id).of_object
        points = body["loyaltyPoints"] | {"balance": {"string": "0", "int": 7}}
        google.store.put("loyaltyObject", body | {"loyaltyPoints": points, "messages": [message]})
        known.sent = {**known.sent, "loyaltyPoints": "another.shape"}
        await mark_changed(session, card.program_id, [card.id], because={}, now=NOON)

    await run(services, card)

    stored = (await at_google(services, google, card)).of_object
    assert stored["loyaltyPoints"]["balance"] == {"string": "0"}
    assert stored["messages"] == [message]


async def test_a_new_design_of_the_class_is_written_once(services, google, program, card):
    other = await issue_in(services, program)
    await run(services, other)
    async with services.sessions.begin() as session:
        (await session.get_one(Program, program.id)).name = "Tea House"
        await mark_changed(session, program.id, [card.id, other.id], because={}, now=NOON)
    google.calls.clear()

    for each in (card, other):
        await run(services, each)

    assert (await at_google(services, google, card)).of_class["programName"] == "Tea House"
    assert calls(google).count("PUT loyaltyClass") == 1


@sqlite_only
async def test_an_object_google_lost_is_inserted_again(services, google, clock, card):
    object_id = (await object_of(services, card)).object_id
    google.store.drop(object_id)

    assert await change(services, clock, card) == ("google_inserted", {})

    assert google.card(object_id).of_object["loyaltyPoints"]["balance"] == {"string": "5"}


@sqlite_only
async def test_a_class_google_lost_is_inserted_again_with_its_object(services, google, clock, card):
    known = await object_of(services, card)
    google.store.drop(known.object_id)
    google.store.drop(known.class_id)

    assert await change(services, clock, card) == ("google_inserted", {})

    assert google.card(known.object_id).of_class["programName"] == "Coffee House"


@sqlite_only
async def test_an_insert_whose_answer_was_lost_is_compared_and_done(services, google, program):
    card = await issue_in(services, program)
    google.faults = Faults(lost=1.0)
    for _ in range(2):
        with pytest.raises(TemporaryFailure):
            await run(services, card)
    google.faults = Faults()

    await run(services, card)

    assert await owed(services, card) == 0
    assert calls(google).count("PUT loyaltyObject") == 0


async def test_a_lost_answer_rings_once_and_counts_once(services, google, clock, card, phone):
    google.faults = Faults(lost=1.0)
    clock.tick(60)
    await earn(services, card, 5)
    with pytest.raises(TemporaryFailure):
        await run(services, card)
    google.faults = Faults()

    await run(services, card)

    assert len(phone.notifications) == 1
    async with services.sessions() as session:
        assert len((await session.scalars(select(Ring))).all()) == 1


@sqlite_only
async def test_what_was_refused_as_too_fast_does_not_count_as_a_ring(services, google, clock, card, phone):
    google.faults = Faults(busy=1.0)
    clock.tick(60)
    await earn(services, card, 5)

    with pytest.raises(TemporaryFailure):
        await run(services, card)

    async with services.sessions() as session:
        assert (await session.scalars(select(Ring))).all() == []
    assert await owed(services, card) == 1


@sqlite_only
async def test_a_refused_account_stops_every_call_until_the_pause_is_over(services, google, clock, card):
    google.permitted.clear()
    google.calls.clear()
    await earn(services, card, 5)

    for _ in range(3):
        with pytest.raises(TemporaryFailure):
            await run(services, card)

    assert len(google.calls) == 1
    assert "permissionDenied" in services.push_stop.reasons(clock())["google"]
    kind, details = await last_line(services, card)
    assert (kind, "permissionDenied" in details["reason"]) == ("google_refused", True)
    google.permitted.update(google.tokens.public_keys)
    clock.tick(301)
    await run(services, card)
    assert await owed(services, card) == 0


async def test_a_body_google_cannot_use_is_tried_five_times_and_then_held_for_a_person(
    services, google, clock, card
):
    google.refuse_bodies = "Image cannot be loaded: https://example.org/logo.png"
    await earn(services, card, 5)
    waits = []
    for _ in range(4):
        with pytest.raises(TemporaryFailure) as again:
            await run(services, card)
        waits.append(again.value.retry_after_seconds)
    with pytest.raises(PermanentFailure, match="Image cannot be loaded"):
        await run(services, card)

    clock.tick(86_400)
    await sweep(services)

    assert waits == [60, 600, 3600, 21_600]
    assert "Image cannot be loaded" in (await object_of(services, card)).refusal
    async with services.sessions() as session:
        waiting = {each.kind: each.count for each in await job_queue.stats(session)}
    assert waiting["update_google"] == 2  # of the enrolment and of the purchase: nobody ran them here
    google.refuse_bodies = ""
    assert (await change(services, clock, card))[0] == "google_updated"
    assert (await object_of(services, card)).refusal == ""


@sqlite_only
async def test_without_an_issuer_what_is_owed_waits(services, google, card):
    await earn(services, card, 5)

    with pytest.raises(TemporaryFailure, match="no Google issuer"):
        await run(replace(services, google_api=None), card)

    assert await owed(services, card) == 1


@sqlite_only
async def test_a_campaign_rings_only_twice_and_not_at_night(services, google, clock, program, card, phone):
    told = [(await change(services, clock, card, is_bulk=True))[1] for _ in range(3)]
    assert [each["why"] for each in told] == ["within_budget", "within_budget", "kept_for_purchases"]
    assert (await change(services, clock, card))[1]["notify"] == "rings"

    async with services.sessions.begin() as session:
        (await session.get_one(Program, program.id)).quiet_hours = "22:00-09:00"
    clock.now = NOON + timedelta(days=2, hours=6)  # 23:00 in Almaty
    assert (await change(services, clock, card, is_bulk=True))[1] == {
        "notify": "silent",
        "why": "quiet_hours",
    }
    assert (await change(services, clock, card))[1]["notify"] == "rings"


@sqlite_only
async def test_a_state_that_changes_reaches_google(services, google, card):
    async with services.sessions.begin() as session:
        await set_state(session, card.program_id, card.id, "voided", reason="", now=NOON)
        assert (await session.get_one(Pass, card.id)).state == "voided"

    await run(services, card)

    assert (await at_google(services, google, card)).of_object["state"] == "INACTIVE"


async def test_passes_that_nobody_sent_to_google_are_found(services, google, program, clock):
    async with services.sessions.begin() as session:
        abroad = await make_program(session, country="RU")
        for where in (program, abroad):
            member = await make_member(session, await make_account(session, where))
            issued = await issue(session, member, template="coffee", now=NOON)
            if where is program:
                found = issued
    clock.now = datetime.now(UTC)  # the ids of passes carry the time of day

    for _ in range(2):
        await sweep(services)
        await offer_to_all(services)

    async with services.sessions() as session:
        owed = (await session.scalars(select(Update.pass_id).where(Update.wallet == GOOGLE))).all()
        waiting = {each.kind: each.count for each in await job_queue.stats(session)}
    assert (owed, waiting) == ([found.id], {"update_google": 1})


async def announce(services, issued, text, **options):
    """A campaign's message reaches Google; what the trace says of it."""
    services.clock.tick(60)
    async with services.sessions.begin() as session:
        because = {"message": text}
        now = services.clock()
        await mark_changed(session, issued.program_id, [issued.id], because=because, message=text, now=now)
    await run(services, issued, **options)
    return await last_line(services, issued)


async def test_the_fourth_message_of_a_day_is_text_and_there_are_never_more_than_ten(
    services, google, card, phone
):
    told = [await announce(services, card, f"News {number}") for number in range(12)]

    assert [details["notify"] for _, details in told] == ["rings"] * 3 + ["silent"] * 9
    assert [each.cause for each in phone.notifications] == ["message"] * 3
    messages = (await at_google(services, google, card)).of_object["messages"]
    assert [each["body"] for each in messages][-2:] == ["News 10", "News 11"]
    assert len(messages) <= 8
    assert len({each["id"] for each in messages}) == len(messages)


@sqlite_only
async def test_a_message_whose_answer_was_lost_is_not_doubled(services, google, clock, card, phone):
    google.faults = Faults(lost=1.0, lost_at="addMessage")
    with pytest.raises(TemporaryFailure):
        await announce(services, card, "Double points")
    google.faults = Faults()

    await run(services, card)

    messages = (await at_google(services, google, card)).of_object["messages"]
    assert [each["body"] for each in messages] == ["Double points"]
    assert len(phone.notifications) == 1


@sqlite_only
async def test_a_campaigns_message_waits_for_the_end_of_the_quiet_hours(
    services, google, clock, program, card, phone
):
    async with services.sessions.begin() as session:
        (await session.get_one(Program, program.id)).quiet_hours = "16:00-18:00"  # it is 17:01 in Almaty

    with pytest.raises(TemporaryFailure, match="quiet_hours") as waits:
        await announce(services, card, "Good evening", is_bulk=True)
    assert waits.value.retry_after_seconds == 59 * 60
    assert (await last_line(services, card))[1] == {"notify": "deferred", "why": "quiet_hours"}
    assert "messages" not in (await at_google(services, google, card)).of_object

    clock.tick(3600)
    await run(services, card, is_bulk=True)
    assert [each.cause for each in phone.notifications] == ["message"]


@sqlite_only
async def test_a_message_rings_nobody_who_is_not_there(services, google, card):
    await announce(services, card, "News")

    assert "messages" not in (await at_google(services, google, card)).of_object


@sqlite_only
async def test_the_members_other_passes_stand_beside_one_whose_template_asks_for_it(
    services, google, clock, card
):
    coffee = services.templates["coffee"]
    links = coffee.definition.google.model_copy(update={"links_others": True})
    services.templates["coffee"] = replace(
        coffee, definition=coffee.definition.model_copy(update={"google": links})
    )
    async with services.sessions.begin() as session:
        member = await session.get_one(Member, card.member_id)
        stamps = await issue(session, member, template="stamps", wallets=BOTH, now=NOON)
    await change(services, clock, card)
    assert "linkedObjectIds" not in (await at_google(services, google, card)).of_object  # not at Google yet

    await run(services, stamps)
    await change(services, clock, card)

    beside = (await at_google(services, google, card)).of_object["linkedObjectIds"]
    assert beside == [(await object_of(services, stamps)).object_id]
    assert "linkedObjectIds" not in (await at_google(services, google, stamps)).of_object
