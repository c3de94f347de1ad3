"""What a plan says beforehand: recipients, points, SMS and their price, conflicts, how long it takes."""

from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.campaigns import google_route
from app.campaigns.definition import REST, Definition
from app.campaigns.models import Campaign, Recipient
from app.campaigns.notifications import notifications_of
from app.campaigns.recipients import Freezing
from app.campaigns.speed import PACE_FIRST
from app.campaigns.statistics import detectable
from app.campaigns.wording import is_fixed, render, warnings_of
from app.channels.sms import segments as sms
from app.members.models import Member, Message
from app.points.models import Entry

_PAGE = 20_000
_BASE_RATE = 0.05  # of redemption, where nobody has redeemed yet


async def totals_of(session: AsyncSession, freezing: Freezing) -> dict[str, Any]:
    """Everything people read before they agree; part of what the hash covers."""
    counted = await _counts(session, freezing)
    planned = sum(count for (*_, state, _), count in counted.items() if state == "planned")
    definition = freezing.definition
    google = await google_route.forecast(session, freezing.program, freezing.plan_id, definition)
    notifications = await notifications_of(session, freezing)
    if google["route"] == google_route.CLASS:
        notifications["google"] = await google_route.notifications(
            session, freezing.program, freezing.plan_id, definition, now=freezing.now
        )
    sample = await session.scalar(
        select(Recipient.facts).where(Recipient.plan_id == freezing.plan_id).limit(1)
    )
    return {
        "recipients": sum(counted.values()),
        "planned": planned,
        "by_wallet": _by(counted, 0),
        "by_language": _by(counted, 1),
        "by_route": _by(counted, 2),
        "by_variant": _by(counted, 3),
        "left_out": _left_out(counted),
        "points": _points(definition, counted),
        "sms": await _sms(session, freezing, counted),
        "notifications": notifications,
        "google": google,
        "conflicts": await _conflicts(session, freezing),
        "duration_seconds": max(_duration(definition, counted), google["seconds"]),
        "warnings": [asdict(each) for each in warnings_of(definition, freezing.program, sample or {})],
        "test": await _test(session, freezing, sum(counted.values())),
    }


_Counts = dict[tuple[str, str, str, str, str, str], int]  # wallet, language, route, variant, state, reason


async def _counts(session: AsyncSession, freezing: Freezing) -> _Counts:
    keys = (
        Recipient.wallet,
        Recipient.language,
        Recipient.route,
        Recipient.variant,
        Recipient.state,
        Recipient.reason,
    )
    query = select(*keys, func.count()).where(Recipient.plan_id == freezing.plan_id).group_by(*keys)
    return {(row[0], row[1], row[2], row[3], row[4], row[5]): row[6] for row in await session.execute(query)}


def _by(counted: _Counts, place: int) -> dict[str, int]:
    found: Counter[str] = Counter()
    for key, count in counted.items():
        found[key[place]] += count
    return dict(sorted(found.items()))


def _left_out(counted: _Counts) -> dict[str, int]:
    """By reason, those who are told nothing."""
    found: Counter[str] = Counter()
    for (_, _, route, _, state, reason), count in counted.items():
        if state == "skipped" or route == "points":
            found[reason] += count
    return dict(sorted(found.items()))


def _points(definition: Definition, counted: _Counts) -> int:
    """What all of it owes members, in points, if everybody gets them; the rest as the dearest arm."""
    dearest = max(definition.points_of(arm.name) for arm in definition.arms)
    total = 0
    for (_, _, _, variant, state, _), count in counted.items():
        if variant == REST and state == "held":
            total += count * dearest
        elif state == "planned":
            total += count * definition.points_of(variant)
    return total


def _duration(definition: Definition, counted: _Counts) -> int:
    """Seconds from the first to the last, at the speed asked for or the one that phones' fetches allow."""
    planned = sum(count for (*_, state, _), count in counted.items() if state == "planned")
    return -(-planned // min(definition.per_second or PACE_FIRST, PACE_FIRST))


async def _sms(session: AsyncSession, freezing: Freezing, counted: _Counts) -> dict[str, Any]:
    """How many SMS, in how many billed parts, at the average price a part has had."""
    messages = sum(
        count for (_, _, route, _, state, _), count in counted.items() if (route, state) == ("sms", "planned")
    )
    parts = await _sms_parts(session, freezing, sum(counted.values())) if messages else 0
    each, currency = await _price(session, freezing.program.id)
    return {
        "messages": messages,
        "parts": parts,
        "cost": None if each is None else f"{each * parts:.2f}",
        "part_cost": None if each is None else f"{each:.4f}",
        "currency": currency,
    }


async def _sms_parts(session: AsyncSession, freezing: Freezing, recipients: int) -> int:
    definition, program = freezing.definition, freezing.program
    fixed = {
        (arm.name, language): sms.count(render(text, {}, program, language, bonus=0)).parts
        for arm in definition.arms
        for language, text in definition.texts_on("sms", arm.name).items()
        if is_fixed(text)
    }
    parts = 0
    # By ranges of positions: the database has no statistics of rows it has just written, and with a LIMIT it
    # would look through all of them for each page.
    for after in range(0, recipients, _PAGE):
        query = select(Recipient.language, Recipient.facts, Recipient.variant).where(
            Recipient.plan_id == freezing.plan_id,
            Recipient.route == "sms",
            Recipient.state == "planned",
            Recipient.position > after,
            Recipient.position <= after + _PAGE,
        )
        for row in await session.execute(query):
            if (row.variant, row.language) in fixed:
                parts += fixed[row.variant, row.language]
                continue
            text = definition.texts_on("sms", row.variant)[row.language]
            bonus = definition.points_of(row.variant)
            shown = render(text, row.facts, program, row.language, bonus=bonus)
            parts += sms.count(shown).parts
    return parts


async def _price(session: AsyncSession, program_id: str) -> tuple[float | None, str | None]:
    """What a part of an SMS has cost on average, and in which currency; None before the first."""
    query = select(func.sum(Message.cost), func.sum(Message.segments), func.max(Message.currency)).where(
        Message.program_id == program_id,
        Message.channel == "sms",
        Message.cost.is_not(None),
        Message.segments > 0,
    )
    cost, parts, currency = (await session.execute(query)).one()
    return (float(cost) / int(parts), currency) if parts else (None, None)


async def _conflicts(session: AsyncSession, freezing: Freezing) -> list[dict[str, Any]]:
    """Other campaigns that are to reach some of the same members."""
    other, mine = aliased(Recipient), aliased(Recipient)
    query = (
        select(Campaign.id, Campaign.name, func.count())
        .join(other, (other.plan_id == Campaign.plan_id) & (other.state == "planned"))
        .join(mine, (mine.member_id == other.member_id) & (mine.plan_id == freezing.plan_id))
        .where(
            Campaign.program_id == freezing.program.id,
            Campaign.id != freezing.campaign_id,
            Campaign.state.in_(("approved", "running", "paused")),
            mine.state == "planned",
        )
        .group_by(Campaign.id, Campaign.name)
        .order_by(Campaign.id)
    )
    return [
        {"campaign_id": row[0], "name": row[1], "members": row[2]} for row in await session.execute(query)
    ]


async def _test(session: AsyncSession, freezing: Freezing, recipients: int) -> dict[str, Any] | None:
    """How small a difference this test can show, told before it starts; None where nothing is tested."""
    definition = freezing.definition
    if not definition.variants and not definition.hold_out_percent:
        return None
    rate = await _base_rate(session, freezing)
    percents = [variant.percent for variant in definition.variants] or [100 - definition.hold_out_percent]
    percents += [definition.hold_out_percent] if definition.hold_out_percent else []
    smallest = recipients * min(percents) // 100
    rise = detectable(rate, smallest)
    return {
        "smallest_arm": smallest,
        "base_rate": round(rate, 4),
        "detectable_difference": None if rise is None else round(rise, 4),
    }


async def _base_rate(session: AsyncSession, freezing: Freezing) -> float:
    """The share of members who redeemed in the last window as long as this campaign's."""
    since = freezing.now - timedelta(days=freezing.definition.window_days)
    redeemed = await session.scalar(
        select(func.count(Entry.account_id.distinct())).where(
            Entry.program_id == freezing.program.id, Entry.kind == "redeem", Entry.at >= since
        )
    )
    members = await session.scalar(
        select(func.count()).select_from(Member).where(Member.program_id == freezing.program.id)
    )
    return min(0.99, redeemed / members) if redeemed and members else _BASE_RATE
