"""Rules and cascades: each member once in a period, and the next channel only for who has not heard."""

from collections import Counter
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from app.campaigns import follow_ups, rules
from app.campaigns.definition import InvalidDefinition
from app.campaigns.models import Campaign, Plan, Recipient
from app.campaigns.plan import EmptyAudience
from app.members.models import Account, Message
from app.passes import trace
from app.passes.issue import issue
from app.points import ledger
from tests.make import NOON, make_tier

TEXTS = {"texts": {"en": "Hello, {{ member_name }}"}}


async def activated(marketing, trigger, **changes):
    definition = {"trigger": trigger, "period_days": 300, "campaign": TEXTS} | changes
    async with marketing.sessions.begin() as session:
        rule = await rules.create(
            session, marketing.program.id, name="Rule", definition=definition, now=marketing.now
        )
        await rules.activate(session, rule, by="boris", now=marketing.now)
    return rule


async def fired(marketing, rule):
    """Whom the rule takes up now, with the campaign carried out."""
    async with marketing.sessions.begin() as session:
        campaign = await rules.fire(session, rule.id, marketing.prints, now=marketing.now)
    if campaign is None:
        return set()
    async with marketing.sessions() as session:
        made = await session.get_one(Plan, campaign.plan_id)
    await marketing.finish(made)
    found = await marketing.recipients(made)
    return {id_ for id_, each in found.items() if each.state == "done"}


async def test_a_birthday_is_wished_once_a_year_and_only_on_its_day(marketing):
    born = await marketing.member(birthday=date(1990, 6, 4))
    await marketing.member(birthday=date(1990, 6, 5))
    rule = await activated(marketing, {"kind": "birthday"}, campaign=TEXTS | {"points": 100})

    days = []
    for day in (0, 1, 1, 2, 365 + 1):
        marketing.now = NOON + timedelta(days=day)
        days.append(await fired(marketing, rule) & {born.id})

    assert days == [set(), {born.id}, set(), set(), {born.id}]


async def test_who_has_lapsed_is_called_back_once_in_the_period(marketing):
    lapsed, active, _never = [await marketing.member() for _ in range(3)]
    async with marketing.sessions.begin() as session:
        for member, ago in ((lapsed, 61), (active, 5)):
            await ledger.earn(
                session,
                member.account_id,
                5,
                reason="",
                source="till",
                source_event=member.id,
                now=NOON - timedelta(days=ago),
            )
    rule = await activated(marketing, {"kind": "lapsed", "days": 60})

    assert await fired(marketing, rule) == {lapsed.id}
    assert await fired(marketing, rule) == set()


async def test_a_tier_counts_from_when_it_is_reached_not_from_when_the_rule_was_made(marketing):
    async with marketing.sessions.begin() as session:
        tier = await make_tier(session, marketing.program, code="gold", threshold=100)
    old, new = [await marketing.member() for _ in range(2)]
    await reach(marketing, old, tier)
    rule = await activated(marketing, {"kind": "tier_reached", "tier": "gold"})

    assert await fired(marketing, rule) == set()
    await reach(marketing, new, tier)
    assert await fired(marketing, rule) == {new.id}


async def reach(marketing, member, tier):
    async with marketing.sessions.begin() as session:
        account = await session.get_one(Account, member.account_id)
        account.tier_id = tier.id


async def test_points_about_to_expire_and_anniversaries_are_told(marketing):
    async with marketing.sessions.begin() as session:
        program = await session.merge(marketing.program)
        program.points_expire_after_days = 10
    member = await marketing.member(created_at=NOON - timedelta(days=365 * 2))
    await marketing.member(created_at=NOON - timedelta(days=3))
    async with marketing.sessions.begin() as session:
        await ledger.earn(session, member.account_id, 5, reason="", source="till", source_event="1", now=NOON)
    expiring = await activated(
        marketing,
        {"kind": "points_expiring", "days": 3},
        campaign={"texts": {"en": "{{ points }} points expire"}},
    )
    anniversary = await activated(marketing, {"kind": "anniversary", "days": 1})

    assert await fired(marketing, expiring) == set()
    assert await fired(marketing, anniversary) == {member.id}
    marketing.now = NOON + timedelta(days=8)
    assert await fired(marketing, expiring) == {member.id}


async def test_a_coupon_about_to_expire_is_told_once(marketing):
    holder, other = [await marketing.member() for _ in range(2)]
    async with marketing.sessions.begin() as session:
        for member, template, days in ((holder, "coupon", 10), (other, "ticket", 10)):
            await issue(session, member, template=template, expires_at=NOON + timedelta(days=days), now=NOON)
    marketing.prints |= {"coupon": "", "ticket": ""}
    rule = await activated(marketing, {"kind": "coupon_expiring", "days": 3, "template": "coupon"})

    told = []
    for day in (6, 8, 9, 11):
        marketing.now = NOON + timedelta(days=day)
        told.append(await fired(marketing, rule))

    assert told == [set(), {holder.id}, set(), set()]


async def test_a_holiday_is_wished_to_everybody_on_its_day_each_year(marketing):
    everybody = {(await marketing.member()).id for _ in range(2)}
    rule = await activated(
        marketing,
        {"kind": "holiday", "dates": ["12-31", "06-05"]},
        campaign={"texts": {"en": "Happy holidays"}, "points": 1},
        period_days=100,
    )

    told = []
    for day in (0, 2, 2, 3, 211, 212, 367):
        marketing.now = NOON + timedelta(days=day)
        told.append(await fired(marketing, rule))

    assert told == [set(), everybody, set(), set(), everybody, set(), everybody]


async def test_a_cap_leaves_a_member_out_and_the_rule_tries_again_later(marketing):
    member = await marketing.member(birthday=NOON.date())
    await marketing.run(await marketing.plan({"texts": {"en": "News"}}))
    rule = await activated(
        marketing, {"kind": "birthday"}, campaign=TEXTS | {"cap": {"campaigns": 1, "days": 1}}
    )

    with pytest.raises(EmptyAudience):
        await fired(marketing, rule)
    marketing.now += timedelta(days=365)
    assert await fired(marketing, rule) == {member.id}


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        ({"trigger": {"kind": "full_moon"}, "period_days": 1, "campaign": TEXTS}, "/trigger/kind"),
        ({"trigger": {"kind": "birthday"}, "campaign": TEXTS}, "/period_days"),
        ({"trigger": {"kind": "holiday"}, "period_days": 9, "campaign": TEXTS}, "/trigger"),
        ({"trigger": {"kind": "lapsed"}, "period_days": 9, "campaign": TEXTS}, "/trigger"),
        ({"trigger": {"kind": "coupon_expiring"}, "period_days": 9, "campaign": TEXTS}, "/trigger"),
        ({"trigger": {"kind": "tier_reached"}, "period_days": 9, "campaign": TEXTS}, "/trigger"),
        (
            {"trigger": {"kind": "birthday"}, "period_days": 9, "campaign": TEXTS | {"segment_id": "seg_1"}},
            "/campaign/segment_id",
        ),
    ],
)
async def test_a_rule_that_cannot_work_is_refused_by_its_place(marketing, definition, place):
    async with marketing.sessions.begin() as session:
        with pytest.raises(InvalidDefinition) as caught:
            await rules.create(session, marketing.program.id, name="x", definition=definition, now=NOON)

    assert caught.value.path == place


CASCADE = {
    "texts": {"en": "On the card"},
    "follow_ups": [
        {
            "after_minutes": 120,
            "unless": "fetched",
            "channel": "email",
            "texts": {"en": "By e-mail"},
            "subjects": {"en": "News"},
        },
        {"after_minutes": 1440, "unless": "opened", "channel": "sms", "texts": {"en": "By SMS"}},
    ],
}


async def test_a_cascade_goes_on_by_e_mail_and_sms_to_those_who_have_not_heard(marketing):
    everybody = [await marketing.member(email=f"anna{number}@example.com") for number in range(3)]
    made = await marketing.plan(CASCADE)
    await marketing.run(made)
    await prove(marketing, made, everybody[0], trace.FETCHED)
    second = await followed(marketing, made, hours=2)
    await prove(marketing, second, everybody[1], trace.LINK_OPENED)
    third = await followed(marketing, second, hours=26)

    told = [set(await marketing.recipients(each)) for each in (made, second, third)]
    assert told == [{each.id for each in everybody[start:]} for start in range(3)]
    async with marketing.sessions() as session:
        messages = await session.scalars(select(Message))
        assert Counter((each.channel, each.text, each.subject) for each in messages) == {
            ("email", "By e-mail", "News"): 2,
            ("sms", "By SMS", None): 1,
        }


async def test_a_follow_up_begins_once_however_often_its_job_runs(marketing):
    await marketing.member(email="anna@example.com")
    made = await marketing.plan(CASCADE)
    await marketing.run(made)

    await followed(marketing, made, hours=2)
    async with marketing.sessions.begin() as session:
        again = await follow_ups.begin(session, made.campaign_id, marketing.prints, now=marketing.now)

    assert again is None
    async with marketing.sessions() as session:
        assert len((await session.scalars(select(Campaign))).all()) == 2


async def followed(marketing, made, *, hours):
    """The plan of the follow-up, carried out at its time."""
    marketing.now = NOON + timedelta(hours=hours)
    async with marketing.sessions.begin() as session:
        child = await follow_ups.begin(session, made.campaign_id, marketing.prints, now=marketing.now)
    async with marketing.sessions() as session:
        plan = await session.get_one(Plan, child.plan_id)
    assert (await marketing.finish(plan)).state == "done"
    return plan


async def prove(marketing, made, member, kind):
    """As if the member's phone or browser had done it."""
    async with marketing.sessions.begin() as session:
        recipient = await session.scalar(
            select(Recipient).where(Recipient.plan_id == made.id, Recipient.member_id == member.id)
        )
        await trace.record(
            session,
            marketing.program.id,
            [recipient.pass_id],
            kind,
            version=recipient.version,
            now=marketing.now,
        )
