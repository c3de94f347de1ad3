"""One member's facts, and whether a condition is true of them: what a single event needs.

The same question as `audience.py` asks of the whole programme in SQL; a property test holds the two equal.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.asking import COMPARE, Asking
from app.campaigns.conditions import (
    Calendar,
    Condition,
    Either,
    Events,
    Every,
    Expiring,
    Negated,
    PassExpiring,
    Received,
    Test,
)
from app.campaigns.fields import ANSWER
from app.campaigns.history import deliveries_of
from app.enrolment.models import Submission
from app.members.models import Account, Member, Tier
from app.passes.models import GoogleObject, Pass, Registration, WebSubscription
from app.points.models import Entry, Lot

ISO_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
WALLET_BY_SERVICE = {"apns": "apple"}  # the others are called as their service is


@dataclass(frozen=True)
class Facts:
    """What is known of one member. `values` are by field name; a field without a value is missing."""

    values: Mapping[str, Any]
    entries: tuple[tuple[str, str, int, datetime], ...]  # kind, source, points, at
    lots: tuple[tuple[int, datetime], ...]  # remaining, expires at
    passes: tuple[tuple[str, datetime], ...]  # template, expires at, of the active ones that do
    received: tuple[tuple[str, datetime], ...]  # campaign, when


async def facts_of(session: AsyncSession, member: Member) -> Facts:
    """Everything conditions may ask about a member."""
    account = await session.get_one(Account, member.account_id, populate_existing=True)
    tier = await session.get(Tier, account.tier_id) if account.tier_id else None
    wallets = await _wallets(session, member.id)
    tags = await session.scalars(select(Submission.source_tag).where(Submission.member_id == member.id))
    entries = await session.execute(
        select(Entry.kind, Entry.source, Entry.points, Entry.at).where(Entry.account_id == account.id)
    )
    lots = await session.execute(
        select(Lot.remaining, Lot.expires_at).where(
            Lot.account_id == account.id, Lot.remaining > 0, Lot.expires_at.is_not(None)
        )
    )
    passes = await session.execute(
        select(Pass.template, Pass.expires_at).where(
            Pass.member_id == member.id, Pass.state == "active", Pass.expires_at.is_not(None)
        )
    )
    values = {
        "name": member.name,
        "phone": member.phone,
        "email": member.email,
        "card_number": member.card_number,
        "language": member.language,
        "state": member.state,
        "birthday": None if member.birthday is None else member.birthday.isoformat(),
        "joined": member.created_at,
        "joined_through": frozenset(tag for tag in tags if tag),
        "points": account.balance,
        "tier": None if tier is None else tier.code,
        "tier_points": account.tier_points,
        "installed": bool(wallets),
        "wallets": wallets,
        **{ANSWER + key: value for key, value in member.answers.items()},
    }
    return Facts(
        values={name: value for name, value in values.items() if value is not None},
        entries=tuple((row.kind, row.source, row.points, row.at) for row in entries),
        lots=tuple((row.remaining, row.expires_at) for row in lots),
        passes=tuple((row.template, row.expires_at) for row in passes),
        received=tuple(await deliveries_of(session, member.id)),
    )


async def _wallets(session: AsyncSession, member_id: str) -> frozenset[str]:
    """Which wallets hold an active pass of the member."""
    mine = (Pass.member_id == member_id, Pass.state == "active")
    services = await session.scalars(select(Registration.push_service).join(Pass).where(*mine))
    wallets = {WALLET_BY_SERVICE.get(each, each) for each in services}
    saved = select(GoogleObject.pass_id).join(Pass).where(*mine, GoogleObject.has_users).limit(1)
    if await session.scalar(saved) is not None:
        wallets.add("google")
    if await session.scalar(select(WebSubscription.pass_id).join(Pass).where(*mine).limit(1)) is not None:
        wallets.add("web")
    return frozenset(wallets)


def matches(  # noqa: PLR0911  one return for each kind of condition
    condition: Condition, facts: Facts, asking: Asking
) -> bool:
    """Whether the condition is true of this member."""
    match condition:
        case Every(parts):
            return all(matches(part, facts, asking) for part in parts)
        case Either(parts):
            return any(matches(part, facts, asking) for part in parts)
        case Negated(part):
            return not matches(part, facts, asking)
        case Test():
            return _test(condition, facts, asking)
        case Events():
            return _events(condition, facts, asking)
        case Expiring():
            until = asking.ahead(condition.within_days)
            left = sum(left for left, at in facts.lots if asking.now < at <= until)
            return COMPARE[condition.op](left, condition.value)
        case PassExpiring(within_days, template):
            until = asking.ahead(within_days)
            return any(template in (None, name) and asking.now < at <= until for name, at in facts.passes)
        case Calendar(dates, within_days):
            return asking.is_near(dates, within_days)
        case Received():
            return any(
                condition.campaign_id in (None, campaign_id)
                and (condition.within_days is None or at >= asking.ago(condition.within_days))
                for campaign_id, at in facts.received
            )


def _events(condition: Events, facts: Facts, asking: Asking) -> bool:
    since = None if condition.within_days is None else asking.ago(condition.within_days)
    found = [
        points
        for kind, source, points, at in facts.entries
        if kind in condition.kinds and condition.source in (None, source) and (since is None or at >= since)
    ]
    measured = len(found) if condition.measure == "count" else sum(found)
    return COMPARE[condition.op](measured, condition.value)


def _test(condition: Test, facts: Facts, asking: Asking) -> bool:
    value = _read(condition, facts, asking)
    if condition.op == "known":
        return (value is not None) == condition.value
    return value is not None and _TESTS[condition.field.type](condition.op, value, condition.value, asking)


def _read(condition: Test, facts: Facts, asking: Asking) -> Any:
    """The field's value, or None where it has none of its type: answers may hold anything."""
    asked = condition.field
    if asked.name == "age":
        return _age(facts.values.get("birthday"), asking)
    return _AS_TYPE[asked.type](facts.values.get(asked.name))


def _as_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _as_number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_set(value: Any) -> frozenset[str] | None:
    if isinstance(value, list | frozenset):
        found = frozenset(each for each in value if isinstance(each, str))  # pyright: ignore[reportUnknownVariableType]
        return found or None
    return frozenset((value,)) if isinstance(value, str) else None


def _as_yes_no(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_date(value: Any) -> str | None:
    return value if isinstance(value, str) and ISO_DATE.fullmatch(value) else None


def _as_moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


_AS_TYPE: dict[str, Any] = {
    "text": _as_text,
    "number": _as_number,
    "choice": _as_text,
    "choices": _as_set,
    "yes_no": _as_yes_no,
    "date": _as_date,
    "moment": _as_moment,
}


def _age(birthday: str | None, asking: Asking) -> int | None:
    if birthday is None:
        return None
    month_day = _month_day(birthday)
    return asking.today.year - int(birthday[:4]) - (1 if asking.month_day < month_day else 0)


def _month_day(date: str) -> int:
    return int(date[5:7]) * 100 + int(date[8:10])


def _test_text(op: str, value: str, wanted: Any, _asking: Asking) -> bool:
    match op:
        case "is":
            return value == wanted
        case "one_of":
            return value in wanted
        case "starts_with":
            return value.startswith(wanted)
        case _:
            return wanted in value


def _test_number(op: str, value: float, wanted: int, _asking: Asking) -> bool:
    return COMPARE[op](value, wanted)


def _test_set(_op: str, value: frozenset[str], wanted: str, _asking: Asking) -> bool:
    return wanted in value


def _test_yes_no(_op: str, value: bool, wanted: bool, _asking: Asking) -> bool:
    return value == wanted


def _test_date(op: str, value: str, wanted: Any, asking: Asking) -> bool:
    match op:
        case "is":
            return value == wanted
        case "before":
            return value < wanted
        case "after":
            return value > wanted
        case _:
            return _month_day(value) in asking.anniversaries(wanted)


def _test_moment(op: str, value: datetime, wanted: Any, asking: Asking) -> bool:
    match op:
        case "before":
            return value < wanted
        case "after":
            return value > wanted
        case "within_days":
            return value >= asking.ago(wanted)
        case "anniversary_within_days":
            return _month_day(value.astimezone(UTC).date().isoformat()) in asking.anniversaries(wanted)
        case _:
            return value < asking.ago(wanted)


_TESTS: dict[str, Any] = {
    "text": _test_text,
    "number": _test_number,
    "choice": _test_text,
    "choices": _test_set,
    "yes_no": _test_yes_no,
    "date": _test_date,
    "moment": _test_moment,
}
