"""Running a plan: once for each member whatever is repeated, never in quiet hours, and stopped when told."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.campaigns import run, speed, steering
from app.campaigns.drafts import CampaignState
from app.campaigns.models import Campaign
from app.db import Sessions
from app.jobs.send_messages import send_message
from app.members.models import Account, Message
from app.passes.models import Pass, TraceEvent, Update
from app.points.models import Entry
from app.webhooks import endpoints
from app.webhooks.models import WebhookEvent
from app.webhooks.types import TYPES
from tests.campaigns.conftest import say
from tests.make import NOON, make_account

NEWS = {"texts": {"en": "News, {{ member_name }}"}, "points": 5}


async def passes(sessions: Sessions) -> list[tuple[str, int]]:
    """What every pass shows as news, and its version."""
    async with sessions() as session:
        rows = await session.execute(select(Pass.message, Pass.version))
        return sorted((row.message, row.version) for row in rows)


async def entries(sessions: Sessions) -> Counter[str]:
    async with sessions() as session:
        rows = await session.execute(select(Entry.account_id, Entry.points))
        found: Counter[str] = Counter()
        for row in rows:
            found[row.account_id] += row.points
        return found


async def test_message_and_points_are_one_new_version_of_each_pass(marketing, members):
    everybody = await members(3)
    made = await marketing.plan(NEWS)

    campaign = await marketing.run(made)

    assert (campaign.state, campaign.done, campaign.skipped) == ("done", 3, 0)
    assert await passes(marketing.sessions) == [("News, Anna", 2)] * 3
    assert await entries(marketing.sessions) == {each.account_id: 5 for each in everybody}
    async with marketing.sessions() as session:
        changes = await session.scalars(select(TraceEvent).where(TraceEvent.kind == "changed"))
        assert {tuple(each.details.items()) for each in changes} == {(("campaign_id", campaign.id),)}
        priorities = set(await session.scalars(select(Update.priority)))
    assert priorities == {0}  # a balance that changes at a till is told before it


async def test_members_who_share_an_account_get_their_own_points_in_one_version(marketing, monkeypatch):
    monkeypatch.setattr(speed, "CHUNK_ONE_BY_ONE", 1)  # the account is at the edge of a chunk
    async with marketing.sessions.begin() as session:
        account = await make_account(session, marketing.program)
    for name in ("Mother", "Child"):
        await marketing.member(account=account, name=name)
    made = await marketing.plan(NEWS | {"condition": {"field": "name", "op": "known", "value": True}})

    await marketing.run(made)

    assert await passes(marketing.sessions) == [("News, Child", 2), ("News, Mother", 2)]
    assert await entries(marketing.sessions) == {account.id: 10}


async def test_a_pass_of_the_account_outside_the_audience_shows_the_new_balance_without_the_text(marketing):
    async with marketing.sessions.begin() as session:
        account = await make_account(session, marketing.program)
    for name in ("Mother", "Child"):
        await marketing.member(account=account, name=name)
    made = await marketing.plan(NEWS | {"condition": {"field": "name", "op": "is", "value": "Mother"}})

    await marketing.run(made)

    assert await passes(marketing.sessions) == [("", 2), ("News, Mother", 2)]


async def test_a_job_that_is_repeated_finds_its_step_over(marketing, members, monkeypatch):
    monkeypatch.setattr(speed, "CHUNK_ONE_BY_ONE", 2)
    await members(4)
    made = await marketing.plan(NEWS)
    await marketing.approve(made)
    (first,) = await marketing.jobs()

    for _ in range(3):
        async with marketing.sessions.begin() as session:
            await run.go_on(session, made.campaign_id, first["step"], marketing.prints, now=NOON)

    assert (await marketing.campaign(made)).done == 2
    assert sum((await entries(marketing.sessions)).values()) == 10
    assert len(await marketing.jobs()) == 2  # the one of the approval, and the next chunk's


async def test_a_chunk_that_fails_half_way_leaves_nothing_and_is_done_again(marketing, members, monkeypatch):
    await members(3)
    made = await marketing.plan(NEWS)
    await marketing.approve(made)

    async def breaks(*_args, **_kwargs):
        raise ConnectionError("the worker died")

    with monkeypatch.context() as broken:
        broken.setattr("app.campaigns.delivery.mark_retold", breaks)
        with pytest.raises(ConnectionError):
            await marketing.chunk(made)
    assert await entries(marketing.sessions) == {}

    assert (await marketing.finish(made)).done == 3
    assert sum((await entries(marketing.sessions)).values()) == 15
    assert await passes(marketing.sessions) == [("News, Anna", 2)] * 3


async def test_a_pause_holds_the_rest_a_resume_sends_only_them_and_a_stop_is_for_good(
    marketing, members, monkeypatch
):
    monkeypatch.setattr(speed, "CHUNK_ONE_BY_ONE", 1)
    await members(3)
    made = await marketing.plan(NEWS)
    await marketing.approve(made)
    await marketing.chunk(made)

    async with marketing.sessions.begin() as session:
        await steering.pause(session, marketing.program.id, made.campaign_id, now=NOON)
    assert (await marketing.chunk(made)).done == 1
    async with marketing.sessions.begin() as session:
        await steering.resume(session, marketing.program.id, made.campaign_id, now=NOON)
    assert (await marketing.chunk(made)).done == 2
    async with marketing.sessions.begin() as session:
        await steering.stop(session, marketing.program.id, made.campaign_id, reason="wrong text", now=NOON)
    stopped = await marketing.chunk(made)

    assert (stopped.state, stopped.reason, stopped.done) == ("stopped", "wrong text", 2)
    assert len(await entries(marketing.sessions)) == 2
    async with marketing.sessions.begin() as session:
        with pytest.raises(CampaignState):
            await steering.resume(session, marketing.program.id, made.campaign_id, now=NOON)


async def test_quiet_hours_and_the_schedule_hold_the_campaign_until_they_are_over(marketing, members):
    await members(1)
    made = await marketing.plan(
        NEWS | {"send_at": "2030-06-03T20:30", "quiet_hours": {"since": "20:00", "until": "09:00"}}
    )
    await marketing.approve(made)

    early = await marketing.chunk(made)
    marketing.now = NOON.replace(hour=17, minute=45)  # 20:45 in Moscow
    evening = await marketing.chunk(made)
    marketing.now = NOON.replace(hour=6, minute=0) + timedelta(days=1)
    morning = await marketing.chunk(made)

    assert [each.done for each in (early, evening, morning)] == [0, 0, 1]


async def test_a_speed_limit_spaces_the_chunks_and_a_backlog_holds_them(marketing, members, monkeypatch):
    monkeypatch.setattr(speed, "BACKLOG_MAX", 2)
    await members(4)
    made = await marketing.plan(NEWS | {"per_second": 4})
    await marketing.approve(made)

    first = await marketing.chunk(made)
    held = await marketing.chunk(made)
    await marketing.pushed()
    second = await marketing.chunk(made)

    assert [each.done for each in (first, held, second)] == [2, 2, 4]


async def test_who_said_no_after_the_plan_gets_nothing_but_the_points(marketing):
    member = await marketing.member()
    other = await marketing.member(phone=False)
    made = await marketing.plan(NEWS | {"fallback": {"channel": "sms", "texts": {"en": "News by SMS"}}})
    async with marketing.sessions.begin() as session:
        for each in (member, other):
            await say(session, each, given=False, at=NOON + timedelta(minutes=1))

    await marketing.run(made)

    assert await passes(marketing.sessions) == [("", 2), ("", 2)]
    async with marketing.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Message)) == 0
        balances = await session.scalars(select(Account.balance))
        assert set(balances) == {5}


async def test_the_sms_of_those_without_a_card_is_written_once_and_not_sent_after_a_stop(
    marketing, services, world
):
    marketing.sessions = services.sessions
    member = await marketing.member(phone=False)
    made = await marketing.plan(
        {"texts": {"en": "News"}, "fallback": {"channel": "sms", "texts": {"en": "SMS"}}}
    )
    await marketing.run(made)
    async with services.sessions.begin() as session:
        (message,) = (await session.scalars(select(Message))).all()
        campaign = await session.get_one(Campaign, made.campaign_id)
        campaign.state = "stopped"

    await send_message(services, {"message_id": message.id})

    async with services.sessions() as session:
        sent = await session.get_one(Message, message.id)
    assert (sent.state, sent.error) == ("failed", "the campaign was stopped")
    assert world.sms.received(member.phone) == []


async def test_an_sms_whose_reader_said_no_meanwhile_is_not_sent(marketing, services, world):
    marketing.sessions = services.sessions
    member = await marketing.member(phone=False)
    made = await marketing.plan(
        {"texts": {"en": "News"}, "fallback": {"channel": "sms", "texts": {"en": "SMS"}}}
    )
    await marketing.run(made)
    async with services.sessions.begin() as session:
        (message,) = (await session.scalars(select(Message))).all()
        await say(session, member, given=False, at=NOON + timedelta(minutes=1))

    await send_message(services, {"message_id": message.id})

    async with services.sessions() as session:
        assert (await session.get_one(Message, message.id)).state == "failed"
    assert world.sms.received(member.phone) == []


async def test_the_winner_of_a_test_goes_to_the_rest_and_never_to_the_hold_out(marketing, members):
    await members(40)
    made = await marketing.plan(
        {
            "variants": [
                {"name": "a", "percent": 30, "texts": {"en": "A"}},
                {"name": "b", "percent": 30, "texts": {"en": "B"}, "points": 7},
            ],
            "hold_out_percent": 20,
        }
    )
    await marketing.run(made)

    async with marketing.sessions.begin() as session:
        with pytest.raises(steering.UnknownVariant):
            await steering.choose_winner(session, marketing.program.id, made.campaign_id, "c")
        await steering.choose_winner(session, marketing.program.id, made.campaign_id, "b")
    campaign = await marketing.finish(made)

    states = Counter((each.variant, each.state) for each in (await marketing.recipients(made)).values())
    assert set(states) == {("a", "done"), ("b", "done"), ("rest", "done"), ("hold_out", "held")}
    shown = Counter(message for message, _ in await passes(marketing.sessions))
    assert shown["B"] == states["b", "done"] + states["rest", "done"]
    assert shown[""] == states["hold_out", "held"]
    assert (campaign.state, campaign.winner) == ("done", "b")


async def test_a_text_the_pass_shows_already_is_not_sent_again(marketing):
    await marketing.member(name="Anna")
    first = await marketing.plan({"texts": {"en": "News, {{ member_name }}"}}, name="First")
    await marketing.run(first)

    again = await marketing.plan({"texts": {"en": "News, {{ member_name }}"}}, name="Again")
    campaign = await marketing.run(again)

    assert (campaign.done, campaign.skipped) == (0, 1)
    assert [each.reason for each in (await marketing.recipients(again)).values()] == ["same_text"]
    assert await passes(marketing.sessions) == [("News, Anna", 2)]


async def test_other_systems_hear_where_a_campaign_stands(marketing, members):
    async with marketing.sessions.begin() as session:
        await endpoints.add(
            session,
            b"k" * 32,
            marketing.program.id,
            url=None,
            event_types=[name for name in TYPES if name.startswith("campaign.")],
            description="",
            may_be_plain=False,
            now=NOON,
        )
    await members(2)
    made = await marketing.plan(NEWS)
    await marketing.approve(made)
    async with marketing.sessions.begin() as session:
        await steering.pause(session, marketing.program.id, made.campaign_id, now=NOON)
        await steering.resume(session, marketing.program.id, made.campaign_id, now=NOON)
    await marketing.finish(made)

    async with marketing.sessions() as session:
        events = (await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id))).all()
    assert [each.type.removeprefix("campaign.") for each in events] == [
        "planned",
        "approved",
        "paused",
        "approved",
        "running",
        "done",
    ]
    assert (events[-1].data["campaign_id"], events[-1].data["done"]) == (made.campaign_id, 2)
