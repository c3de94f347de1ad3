"""What a campaign came to, counted from evidence: the trace of each pass, and the ledger.

A funnel: planned, told (the pass changed or an SMS was written), accepted (Apple took a push, or Google the
change), asked, fetched, rang (a notification could be seen), opened (a link), redeemed. A later step never
needs an earlier one: a phone may fetch without a push. No phone asks us or fetches for Google Wallet; whether
it rang is what we asked Google for. An iPhone rings when it fetches what was pushed, a browser at the push.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.definition import HOLD_OUT, Definition, parse
from app.campaigns.models import Campaign, Plan, Recipient
from app.campaigns.recipients import take_time
from app.campaigns.statistics import Uplift, uplift
from app.channels.sms import segments as sms
from app.members.models import Account, Member
from app.passes import trace
from app.passes.models import TraceEvent
from app.passes.versions import WEB
from app.points.models import Entry

STEPS = ("planned", "told", "accepted", "asked", "fetched", "rang", "opened", "redeemed")
GROUPS = ("variant", "wallet", "language", "route")

_WALLET = TraceEvent.details["wallet"].as_string()
_NOTIFY = TraceEvent.details["notify"].as_string()
_IS_NEW = TraceEvent.version >= Recipient.version  # of the version that was sent, or one after it
_PUSHED = and_(TraceEvent.kind == trace.PUSH_ACCEPTED, _IS_NEW)
_AT_GOOGLE = and_(
    TraceEvent.kind.in_((trace.GOOGLE_UPDATED, trace.GOOGLE_MESSAGE)), _IS_NEW, _NOTIFY != "deferred"
)
_FETCHED = and_(TraceEvent.kind == trace.FETCHED, _IS_NEW)
# By step, the line of the trace that proves it.
_PROOFS: dict[str, ColumnElement[bool]] = {
    "accepted": or_(_PUSHED, _AT_GOOGLE),
    "asked": TraceEvent.kind == trace.ASKED,
    "fetched": _FETCHED,
    "opened": TraceEvent.kind == trace.LINK_OPENED,
}
Funnel = dict[str, int]


@dataclass(frozen=True)
class Comparison:
    """One arm against another, by what shares of them came to a step."""

    variant: str
    against: str
    step: str
    uplift: Uplift


@dataclass(frozen=True)
class Report:
    """The whole of it. `groups` are funnels by "variant", "wallet", "language" and "route"."""

    total: Funnel
    groups: dict[str, dict[str, Funnel]]
    comparisons: tuple[Comparison, ...]
    reasons: dict[str, int]  # why nothing happened to so many
    sms_avoided: int
    money_saved: str | None  # what they would have cost at the price of the plan
    currency: str | None


async def report(
    session: AsyncSession,
    campaign: Campaign,
    plan: Plan,
    *,
    audience: ColumnElement[bool] | None,
    now: datetime,
) -> Report:
    """Count a campaign's results as they are now; with an `audience`, over Member, only its members'."""
    await take_time(session)
    proven = proofs(campaign, plan, now=now)
    keys = [getattr(Recipient, name) for name in GROUPS]
    query = (
        select(
            *keys,
            Recipient.state,
            Recipient.reason,
            func.count(),
            *(func.sum(proven.c[step]) for step in STEPS[2:]),
        )
        .join(proven, proven.c.position == Recipient.position)
        .where(Recipient.plan_id == plan.id)
        .group_by(*keys, Recipient.state, Recipient.reason)
    )
    if audience is not None:
        query = (
            query.join(Member, Member.id == Recipient.member_id)
            .join(Account, Account.id == Member.account_id)
            .where(audience)
        )
    rows = (await session.execute(query)).all()
    total: Counter[str] = Counter()
    groups: dict[str, defaultdict[str, Counter[str]]] = {name: defaultdict(Counter) for name in GROUPS}
    reasons: Counter[str] = Counter()
    for row in rows:
        key, (state, reason, count, *proven_counts) = row[: len(keys)], row[len(keys) :]
        told = count if state == "done" else 0
        counted = dict(zip(STEPS, (count, told, *proven_counts), strict=True))
        total.update(counted)
        for name, value in zip(GROUPS, key, strict=True):
            groups[name][value].update(counted)
        if state == "skipped":
            reasons[reason] += count
    by_group = {
        name: {value: _whole(each) for value, each in found.items()} for name, found in groups.items()
    }
    avoided = by_group["route"].get("wallet", _whole(Counter()))["told"]
    return Report(
        total=_whole(total),
        groups=by_group,
        comparisons=tuple(_compare(by_group["variant"])),
        reasons=dict(sorted(reasons.items())),
        sms_avoided=avoided,
        money_saved=_saved(plan, avoided),
        currency=plan.totals["sms"]["currency"],
    )


def _whole(counted: Counter[str]) -> Funnel:
    return {step: int(counted[step] or 0) for step in STEPS}


def proofs(
    campaign: Campaign, plan: Plan, *, now: datetime, between: tuple[int, int] | None = None
) -> Subquery:
    """By position, 1 for every step that the evidence shows, else 0. `between`: of these positions."""
    mine = [Recipient.plan_id == plan.id]
    if between is not None:
        mine.append(Recipient.position.between(*between))
    seen = _seen(mine)
    redeemed = _redeemed(campaign, plan, mine, now)
    columns = [func.coalesce(seen.c[step], 0).label(step) for step in (*_PROOFS, "rang")]
    return (
        select(
            Recipient.position,
            *columns,
            case((redeemed.c.position.is_not(None), 1), else_=0).label("redeemed"),
        )
        .outerjoin(seen, seen.c.position == Recipient.position)
        .outerjoin(redeemed, redeemed.c.position == Recipient.position)
        .where(*mine)
        .subquery("proven")
    )


def _seen(mine: Sequence[ColumnElement[bool]]) -> Subquery:
    """What the trace says of each pass since it was changed."""

    def proof(line: ColumnElement[bool]) -> ColumnElement[int]:
        return func.max(case((line, 1), else_=0))

    columns = [proof(line).label(step) for step, line in _PROOFS.items()]
    at_once = or_(and_(_AT_GOOGLE, _NOTIFY == "rings"), and_(_PUSHED, _WALLET == WEB))
    rang = case((proof(at_once) == 1, 1), else_=proof(_PUSHED) * proof(_FETCHED))
    return (
        select(Recipient.position, *columns, rang.label("rang"))
        .join(TraceEvent, and_(TraceEvent.pass_id == Recipient.pass_id, TraceEvent.at >= Recipient.done_at))
        .where(*mine)
        .group_by(Recipient.position)
        .subquery("seen")
    )


def _redeemed(campaign: Campaign, plan: Plan, mine: Sequence[ColumnElement[bool]], now: datetime) -> Subquery:
    """Who spent points in the window; for the hold-out it begins when the campaign did."""
    started = campaign.started_at or now
    until = (campaign.finished_at or now) + timedelta(days=parse(plan.definition).window_days)
    return (
        select(Recipient.position)
        .join(Entry, Entry.account_id == Recipient.account_id)
        .where(
            *mine,
            Entry.kind == "redeem",
            Entry.at >= func.coalesce(Recipient.done_at, started),
            Entry.at <= until,
        )
        .distinct()
        .subquery("redeemed")
    )


def _compare(variants: dict[str, Funnel]) -> list[Comparison]:
    """Each arm against the hold-out, and against the first arm of the test."""
    arms = sorted(name for name in variants if name not in (HOLD_OUT, "rest"))
    pairs = [(arm, HOLD_OUT, "redeemed") for arm in arms if HOLD_OUT in variants]
    pairs += [(arm, arms[0], step) for arm in arms[1:] for step in ("fetched", "redeemed")]
    found: list[Comparison] = []
    for arm, other, step in pairs:
        mine, theirs = variants[arm], variants[other]
        compared = uplift(mine[step], mine["planned"], theirs[step], theirs["planned"])
        if compared is not None:
            found.append(Comparison(arm, other, step, compared))
    return found


def _saved(plan: Plan, avoided: int) -> str | None:
    """At the plan's price of a part. A text that names something counts as one part: never too much."""
    price = plan.totals["sms"]["part_cost"]
    if price is None:
        return None
    return f"{float(price) * avoided * _parts(parse(plan.definition)):.2f}"


def _parts(definition: Definition) -> int:
    texts = [text for arm in definition.arms for text in arm.texts.values()]
    return min(sms.count(text).parts if "{" not in text else 1 for text in texts)


async def lines(
    session: AsyncSession, campaign: Campaign, plan: Plan, *, after: int, limit: int, now: datetime
) -> Sequence[dict[str, Any]]:
    """The steps of so many recipients after a position."""
    proven = proofs(campaign, plan, now=now, between=(after + 1, after + limit))
    names = ("position", "member_id", "variant", "wallet", "language", "route", "state", "reason")
    query = (
        select(*(getattr(Recipient, name) for name in names), *(proven.c[step] for step in STEPS[2:]))
        .join(proven, proven.c.position == Recipient.position)
        .where(Recipient.plan_id == plan.id)
        .order_by(Recipient.position)
    )
    return [dict(cast("dict[str, Any]", row)) for row in (await session.execute(query)).mappings()]
