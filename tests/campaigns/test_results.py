"""Results: counted from the trace and the ledger, for each arm, wallet and language."""

from datetime import timedelta

from sqlalchemy import select

from app.campaigns import results, segments
from app.campaigns.export import results_as_csv
from app.passes import trace
from app.passes.models import Pass
from app.points import ledger
from tests.make import NOON

SPLIT = {
    "variants": [
        {"name": "a", "percent": 40, "texts": {"en": "A", "ru": "А"}},
        {"name": "b", "percent": 40, "texts": {"en": "B", "ru": "Б"}},
    ],
    "hold_out_percent": 20,
}


async def told(marketing, members):
    """A finished test on thirty members, every second Russian, of whom the first ten fetched and redeemed."""
    everybody = await members(15) + [await marketing.member(language="ru") for _ in range(15)]
    made = await marketing.plan(SPLIT)
    await marketing.run(made)
    found = await marketing.recipients(made)
    async with marketing.sessions.begin() as session:
        for number, member in enumerate(everybody):
            recipient = found[member.id]
            if recipient.pass_id is None:
                continue
            held = await session.get_one(Pass, recipient.pass_id)
            for kind, at, version in (
                (trace.PUSH_ACCEPTED, NOON, held.version),
                (trace.FETCHED, NOON - timedelta(days=1), held.version),  # before: no proof
                (
                    trace.FETCHED,
                    NOON + timedelta(seconds=1),
                    held.version - number % 2,
                ),  # an old version: none
            ):
                await trace.record(session, marketing.program.id, [held.id], kind, version=version, now=at)
        for member in everybody[:10]:
            await ledger.open_balance(
                session, member.account_id, 5, reason="", source="t", source_event=member.id, now=NOON
            )
            await ledger.redeem(
                session,
                member.account_id,
                5,
                reason="",
                source="till",
                source_event=member.id,
                now=NOON + timedelta(days=1),
            )
    return made, everybody, found


async def test_the_funnel_counts_what_the_trace_and_the_ledger_prove(marketing, members):
    made, everybody, found = await told(marketing, members)
    held = {id_ for id_, each in found.items() if each.variant == "hold_out"}
    reached = [(number, each) for number, each in enumerate(everybody) if each.id not in held]

    async with marketing.sessions() as session:
        campaign = await marketing.campaign(made)
        report = await results.report(session, campaign, made, audience=None, now=NOON + timedelta(days=2))

    assert report.total == {
        "planned": 30,
        "told": len(reached),
        "accepted": len(reached),
        "asked": 0,
        "fetched": sum(1 for number, _ in reached if number % 2 == 0),
        "rang": sum(1 for number, _ in reached if number % 2 == 0),
        "opened": 0,
        "redeemed": 10,
    }
    assert report.groups["language"]["ru"]["planned"] == 15
    assert report.groups["language"]["ru"]["redeemed"] == 0
    for name in ("variant", "wallet", "language", "route"):
        assert sum(each["planned"] for each in report.groups[name].values()) == 30
    assert report.groups["variant"]["hold_out"]["told"] == 0
    assert {(each.variant, each.against, each.step) for each in report.comparisons} == {
        ("a", "hold_out", "redeemed"),
        ("b", "hold_out", "redeemed"),
        ("b", "a", "fetched"),
        ("b", "a", "redeemed"),
    }
    assert report.sms_avoided == len(reached)


async def test_googles_cards_and_iphones_are_counted_each_by_what_proves_it(marketing):
    """By member: what the trace says, and the steps it proves."""
    lines = {
        "iphone that fetched": ([(trace.PUSH_ACCEPTED, {}), (trace.FETCHED, {})], "accepted fetched rang"),
        "iphone that slept": ([(trace.PUSH_ACCEPTED, {})], "accepted"),
        "browser": ([(trace.PUSH_ACCEPTED, {"wallet": "web"})], "accepted rang"),
        "fetched by hand": ([(trace.FETCHED, {})], "fetched"),
        "google rang": ([(trace.GOOGLE_MESSAGE, {"notify": "rings"})], "accepted rang"),
        "google silent": ([(trace.GOOGLE_UPDATED, {"notify": "silent"})], "accepted"),
        "google later": ([(trace.GOOGLE_MESSAGE, {"notify": "deferred"})], ""),
    }
    by_name = {name: await marketing.member(name=name) for name in lines}
    made = await marketing.plan({"texts": {"en": "News"}})
    await marketing.run(made)
    found = await marketing.recipients(made)
    async with marketing.sessions.begin() as session:
        for name, (kinds, _) in lines.items():
            recipient = found[by_name[name].id]
            for kind, details in kinds:
                await trace.record(
                    session,
                    marketing.program.id,
                    [recipient.pass_id],
                    kind,
                    version=recipient.version,
                    details=details,
                    now=NOON,
                )

    campaign = await marketing.campaign(made)
    async with marketing.sessions() as session:
        rows = await results.lines(session, campaign, made, after=0, limit=99, now=NOON)

    names = {member.id: name for name, member in by_name.items()}
    proven = {
        names[row["member_id"]]: " ".join(step for step in results.STEPS[2:] if row[step]) for row in rows
    }
    assert proven == {name: steps for name, (_, steps) in lines.items()}


async def test_a_redemption_after_the_window_is_not_the_campaigns(marketing, members):
    made, everybody, _ = await told(marketing, members)
    async with marketing.sessions.begin() as session:
        late = everybody[-1]
        await ledger.open_balance(
            session, late.account_id, 5, reason="", source="t", source_event="late", now=NOON
        )
        await ledger.redeem(
            session,
            late.account_id,
            5,
            reason="",
            source="till",
            source_event="late",
            now=NOON + timedelta(days=8),
        )

    campaign = await marketing.campaign(made)
    async with marketing.sessions() as session:
        report = await results.report(session, campaign, made, audience=None, now=NOON + timedelta(days=9))

    assert report.total["redeemed"] == 10


async def test_a_report_can_be_of_one_segment_and_every_recipient_is_exported(marketing, members):
    made, _, _ = await told(marketing, members)
    campaign = await marketing.campaign(made)
    async with marketing.sessions() as session:
        russian = await segments.condition_sql(
            session, marketing.program, {"field": "language", "op": "is", "value": "ru"}, now=NOON
        )
        report = await results.report(session, campaign, made, audience=russian, now=NOON)
        members_there = list(await session.scalars(select(Pass.member_id)))
    rows = [
        part async for part in results_as_csv(marketing.sessions, campaign.id, now=NOON + timedelta(days=2))
    ]
    header, *lines = "".join(rows).splitlines()

    assert report.total["planned"] == 15
    assert header == (
        "position,member_id,variant,wallet,language,route,state,reason,accepted,asked,fetched,rang,opened,redeemed"
    )
    assert {line.split(",")[1] for line in lines} == set(members_there)
    assert sum(int(line.rpartition(",")[2]) for line in lines) == 10
