"""Plans: they say exactly what would happen, and refuse what must not."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.campaigns import approval, consent, plan
from app.campaigns.arms import arm_of, bucket
from app.campaigns.conditions import InvalidCondition
from app.campaigns.definition import InvalidDefinition, parse
from app.campaigns.export import as_csv
from app.campaigns.models import Plan, Recipient
from app.campaigns.segments import UnknownSegment
from app.members.models import Message, Program
from app.passes.models import GoogleObject, Pass, Ring
from app.spreadsheets import csv_line
from tests.make import NOON

NEWS = {"texts": {"en": "News"}}
SMS = {"channel": "sms", "texts": {"en": "News by SMS"}}


@pytest.mark.parametrize(
    ("definition", "error", "said"),
    [
        (NEWS | {"segment_id": "seg_gone"}, UnknownSegment, "no segment seg_gone"),
        (NEWS | {"condition": {"field": "shoes", "op": "is", "value": 1}}, InvalidCondition, "/field"),
        (NEWS | {"condition": {"field": "points", "op": "above", "value": 9}}, plan.EmptyAudience, "nobody"),
        ({"texts": {"ru": "Новости"}}, InvalidDefinition, "1 members read en: write the text in it"),
        (NEWS | {"send_at": "2030-06-03T14:00"}, InvalidDefinition, "has passed"),
        ({"texts": {"en": "{{ shoes }}"}}, InvalidDefinition, "/texts/en: unknown name 'shoes'"),
        ({"texts": {"en": "{{ 9 * 9 }}"}}, InvalidDefinition, "/texts/en: mul is not allowed"),
        (
            NEWS | {"fallback": {"channel": "sms", "texts": {"ru": "Привет"}}},
            InvalidDefinition,
            "no language",
        ),
        (NEWS | {"default_language": "de"}, InvalidDefinition, "/default_language"),
        ({}, InvalidDefinition, "write either texts or variants"),
        (NEWS | {"hold_out_percent": 60}, InvalidDefinition, "/hold_out_percent"),
        (NEWS | {"send_at": "tomorrow"}, InvalidDefinition, "/send_at"),
    ],
)
async def test_what_must_not_be_sent_is_refused_with_the_reason_and_nothing_is_planned(
    marketing, definition, error, said
):
    await marketing.member()

    with pytest.raises(error, match=said):
        await marketing.plan(definition)

    async with marketing.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Plan)) == 0
        assert await session.scalar(select(func.count()).select_from(Recipient)) == 0


async def test_an_approval_of_another_plan_too_late_or_after_a_template_changed_is_refused(marketing):
    await marketing.member()
    made = await marketing.plan(NEWS)

    with pytest.raises(approval.PlanChanged):
        await marketing.approve(made, plan_hash="0" * 64)
    marketing.prints = {"coffee": "repainted"}
    with pytest.raises(approval.TemplateChanged, match="coffee"):
        await marketing.approve(made)
    marketing.now += timedelta(days=3)
    with pytest.raises(approval.PlanExpired):
        await marketing.approve(made)

    assert await marketing.jobs() == []
    assert (await marketing.campaign(made)).state == "planned"


async def test_a_template_changed_between_approval_and_start_stops_the_campaign_untold(marketing):
    member = await marketing.member()
    made = await marketing.plan(NEWS)
    await marketing.approve(made)

    marketing.prints = {"coffee": "repainted"}
    campaign = await marketing.chunk(made)

    assert (campaign.state, campaign.done) == ("stopped", 0)
    assert "coffee has changed" in campaign.reason
    assert (await marketing.recipients(made))[member.id].state == "planned"


async def test_a_large_plan_needs_a_second_person(marketing, members):
    await members(2)
    marketing.second_person_above = 1
    made = await marketing.plan(NEWS)

    with pytest.raises(approval.SecondPersonNeeded):
        await marketing.approve(made, by="anna")
    await marketing.approve(made, by="boris")

    assert (await marketing.campaign(made)).state == "approved"


async def test_a_plan_counts_wallets_languages_consents_and_what_reaches_the_others(marketing):
    await marketing.member()
    await marketing.member(language="ru")
    await marketing.member(consents=False)
    await marketing.member(consents=None)  # a card may carry news until its owner refuses
    await marketing.member(phone=False)
    await marketing.member(phone=False, consents=None)  # an SMS needs a consent
    await marketing.member(phone=False, state="blocked")

    made = await marketing.plan(
        {
            "texts": {"en": "News", "ru": "Новости"},
            "fallback": {"channel": "sms", "texts": {"en": "News", "ru": "Новости"}},
            "points": 10,
        }
    )

    assert made.totals["by_wallet"] == {"apple": 4, "none": 3}
    assert made.totals["by_language"] == {"en": 6, "ru": 1}
    assert made.totals["by_route"] == {"nobody": 1, "points": 2, "sms": 1, "wallet": 3}
    assert made.totals["left_out"] == {"blocked": 1, "no_consent": 1, "no_wallet": 1}
    assert (made.totals["points"], made.totals["planned"]) == (60, 6)
    assert made.totals["notifications"]["apple"] == {"rings": 3, "silent": 0, "deferred": 0}


async def test_cards_at_google_are_counted_with_what_their_day_still_allows(marketing):
    once, twice = [await marketing.member(phone=False) for _ in range(2)]
    await marketing.member()
    async with marketing.sessions.begin() as session:
        for member, rung in ((once, 1), (twice, 2)):
            held = (await session.scalars(select(Pass).where(Pass.member_id == member.id))).one()
            session.add(
                GoogleObject(
                    pass_id=held.id,
                    program_id=marketing.program.id,
                    object_id=f"issuer.{held.id}",
                    class_id="issuer.coffee",
                    resource="loyaltyObject",
                    sent={},
                    inserted_at=NOON,
                    has_users=True,
                )
            )
            for number in range(rung):
                session.add(
                    Ring(
                        pass_id=held.id,
                        wallet="google",
                        cause="message",
                        key=str(number),
                        program_id=marketing.program.id,
                        purpose="live",
                        at=NOON,
                    )
                )

    made = await marketing.plan(NEWS)

    assert made.totals["by_wallet"] == {"apple": 1, "google": 2}
    assert made.totals["notifications"] == {
        "apple": {"rings": 1, "silent": 0, "deferred": 0},
        "google": {"rings": 1, "silent": 1, "deferred": 0},
    }


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            {"quiet_hours": "14:00-16:00", "time_zone": "Europe/Moscow"},
            {"rings": 0, "silent": 0, "deferred": 2},
        ),
        ({"campaign_rings_per_day": 1}, {"rings": 1, "silent": 0, "deferred": 1}),
        ({"campaign_rings_per_day": 0}, {"rings": 0, "silent": 2, "deferred": 0}),
    ],
)
async def test_what_the_programmes_rules_keep_from_ringing_is_said_beforehand(marketing, rules, expected):
    rung, _ = [await marketing.member() for _ in range(2)]
    async with marketing.sessions.begin() as session:
        program = await session.get_one(Program, marketing.program.id)
        for name, value in rules.items():
            setattr(program, name, value)
        held = (await session.scalars(select(Pass).where(Pass.member_id == rung.id))).one()
        session.add(
            Ring(
                pass_id=held.id,
                wallet="apple",
                cause="field",
                key="v2",
                program_id=program.id,
                purpose="campaign",
                at=NOON,
            )
        )

    made = await marketing.plan(NEWS)

    assert made.totals["notifications"] == {"apple": expected}


async def test_sms_are_counted_in_parts_at_the_price_they_have_had(marketing):
    await marketing.member(phone=False, name="A" * 120)
    await marketing.member(phone=False, name="Anna")
    async with marketing.sessions.begin() as session:
        session.add(
            Message(
                id="msg_1",
                program_id=marketing.program.id,
                channel="sms",
                purpose="pass_link",
                recipient="+79160000000",
                text="x",
                state="sent",
                segments=2,
                cost=7,
                currency="RUB",
                created_at=NOON,
            )
        )

    made = await marketing.plan(
        NEWS | {"fallback": {"channel": "sms", "texts": {"en": "{{ member_name }}: " + "news " * 20}}}
    )

    assert made.totals["sms"] == {
        "messages": 2,
        "parts": 3,
        "cost": "10.50",
        "part_cost": "3.5000",
        "currency": "RUB",
    }


async def test_a_suppressed_channel_and_a_full_cap_are_left_out(marketing, members):
    first, second = await members(2)
    async with marketing.sessions.begin() as session:
        await consent.suppress(session, marketing.program.id, first.id, "wallet", reason="asked", now=NOON)
    earlier = await marketing.plan(NEWS, name="Earlier")
    await marketing.run(earlier)

    made = await marketing.plan({"texts": {"en": "More"}, "points": 1, "cap": {"campaigns": 1, "days": 7}})
    found = await marketing.recipients(made)

    assert {(found[each.id].route, found[each.id].reason) for each in (first, second)} == {
        ("points", "no_consent"),
        ("points", "cap"),
    }


async def test_the_text_each_member_reads_is_frozen_with_its_facts(marketing):
    member = await marketing.member(
        name='=cmd|"x"', answers={"pets": ["Rex", "Tom"], "visits": 3}, birthday=NOON.date()
    )
    made = await marketing.plan({"texts": {"en": "{{ member_name }}, {{ birthday|date }}, {{ points }}"}})

    text = "".join([part async for part in as_csv(marketing.sessions, made.campaign_id)])
    recipient = (await marketing.recipients(made))[member.id]

    assert recipient.facts == {"member_name": '=cmd|"x"', "birthday": "2030-06-03", "points": 0}
    assert "June 3, 2030, 0" in text
    assert "'=cmd" in text  # a spreadsheet must not take it for a formula


@pytest.mark.parametrize("cell", ["=1+1", "+7916", "-1", "@x", "\tx"])
def test_no_cell_of_an_export_begins_like_a_formula(cell):
    assert csv_line([cell]).strip('"').startswith("'")


async def test_arms_are_sticky_alike_in_sql_and_python_and_of_the_size_asked_for(marketing, members):
    everybody = await members(30)
    definition = {
        "variants": [
            {"name": "a", "percent": 30, "texts": {"en": "A"}},
            {"name": "b", "percent": 30, "texts": {"en": "B"}},
        ],
        "hold_out_percent": 20,
    }
    made = await marketing.plan(definition)

    found = await marketing.recipients(made)
    parsed = parse(made.definition)

    assert {each.id: found[each.id].variant for each in everybody} == {
        each.id: arm_of(parsed, made.seed, each.id) for each in everybody
    }
    assert {each.state for each in found.values() if each.variant in ("hold_out", "rest")} <= {"held"}
    assert made.totals["test"]["smallest_arm"] == 6


def test_buckets_are_even_and_another_seed_shuffles_them_anew():
    ids = [f"mem_{number:026}" for number in range(4000)]

    first = [bucket("seed one", each) for each in ids]
    second = [bucket("seed two", each) for each in ids]

    assert first == [bucket("seed one", each) for each in ids]
    low = [number < 5000 for number in first]
    assert 0.45 < sum(low) / len(ids) < 0.55
    both = sum(a and b < 5000 for a, b in zip(low, second, strict=True))
    assert 0.2 < both / len(ids) < 0.3


async def test_members_on_their_own_clocks_are_due_by_them(marketing):
    await marketing.member(answers={"time_zone": "Asia/Vladivostok"})
    await marketing.member(answers={"time_zone": "the moon"})

    made = await marketing.plan(NEWS | {"send_at": "2030-06-04T10:00", "zone": "member"})

    assert made.zones == {
        "Asia/Vladivostok": "2030-06-04T10:00:00+10:00",
        "Europe/Moscow": "2030-06-04T10:00:00+03:00",
    }
    assert sorted(each.zone for each in (await marketing.recipients(made)).values()) == sorted(made.zones)


async def test_other_campaigns_to_the_same_members_and_texts_too_long_are_named(marketing, members):
    await members(3)
    other = await marketing.plan(NEWS, name="Other")
    await marketing.approve(other)

    made = await marketing.plan({"texts": {"en": "Скидкa: " + "x" * 120}, "points": 5})

    assert made.totals["conflicts"] == [{"campaign_id": other.campaign_id, "name": "Other", "members": 3}]
    assert {each["code"] for each in made.totals["warnings"]} == {
        "points-ring-first",
        "too-long-for-lock-screen",
        "mixed-scripts",
    }
