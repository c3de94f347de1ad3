"""How often a pass may ring: asked before anything is sent, written down when it was.

Google rings three times a day for messages and three times for fields, of each pass; a fourth is refused or
silent. Whoever campaigns leaves the last of the three to purchases, keeps the programme's quiet hours and its
cap. A purchase is never kept back: it is shown at once, if need be in silence.

An iPhone rings for what it fetches, and fetches when it is pushed: there a campaign that may not ring yet is
not pushed yet. A purchase meanwhile brings it along. Many passes at once: `budget_many.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upsert
from app.members.models import Program
from app.passes.models import Ring
from app.passes.versions import APPLE, GOOGLE

Cause = Literal["field", "message"]  # what rings: a value that changed, or a message
Purpose = Literal["live", "campaign"]
Outcome = Literal["rings", "silent", "deferred"]

DAY = timedelta(hours=24)
GOOGLE_PER_DAY = 3  # of each cause; Google's own limit
LEFT_TO_PURCHASES = 1  # of those, whatever a campaign wants

RINGS, SILENT, DEFERRED = "rings", "silent", "deferred"


@dataclass(frozen=True)
class Decision:
    """Whether a change rings, and why not. `why` is stable; `until` says when a deferred one may."""

    outcome: Outcome
    why: str  # within_budget | day_full | kept_for_purchases | quiet_hours | frequency_cap
    until: datetime | None = None


@dataclass(frozen=True)
class Rules:
    """What a programme allows, beyond what its wallets do."""

    time_zone: str
    quiet_hours: str | None  # "22:00-09:00"
    campaign_rings_per_day: int | None


@dataclass(frozen=True)
class Rang:
    """One ring of the last 24 hours."""

    wallet: str
    cause: str
    purpose: str
    at: datetime


def rules_of(program: Program) -> Rules:
    """The rules of a programme."""
    return Rules(program.time_zone, program.quiet_hours, program.campaign_rings_per_day)


async def rang_today(session: AsyncSession, pass_id: str, *, now: datetime) -> list[Rang]:
    """What rang on a pass in the last 24 hours, oldest first."""
    query = (
        select(Ring.wallet, Ring.cause, Ring.purpose, Ring.at)
        .where(Ring.pass_id == pass_id, Ring.at > now - DAY)
        .order_by(Ring.at)
    )
    return [Rang(*row) for row in await session.execute(query)]


def decide(
    rules: Rules, rang: Sequence[Rang], wallet: str, cause: Cause, purpose: Purpose, *, now: datetime
) -> Decision:
    """Whether something would ring now, given what `rang` in the last 24 hours. Pure."""
    ours = [each for each in rang if each.wallet == wallet]
    if wallet == GOOGLE:
        same = [each for each in ours if each.cause == cause]
        if len(same) >= GOOGLE_PER_DAY:
            return Decision(SILENT, "day_full", same[-GOOGLE_PER_DAY].at + DAY)
        if purpose == "campaign" and len(same) >= GOOGLE_PER_DAY - LEFT_TO_PURCHASES:
            return Decision(SILENT, "kept_for_purchases", same[0].at + DAY)
    if purpose == "live":
        return Decision(RINGS, "within_budget")

    at = [each.at for each in ours if each.purpose == "campaign"]
    return decide_campaign(rules, at, wallet, cause, now=now)


def decide_campaign(
    rules: Rules, rang_at: Sequence[datetime], wallet: str, cause: Cause, *, now: datetime
) -> Decision:
    """What a programme's rules say to a campaign that rang at these times of the last 24 hours. Pure."""
    cap = rules.campaign_rings_per_day
    if cap is not None and len(rang_at) >= cap:
        until = rang_at[-cap] + DAY if cap else None
        # Without any campaign to ring, iPhones see it when they next ask: nothing is to be waited for.
        return Decision(DEFERRED if wallet == APPLE and until else SILENT, "frequency_cap", until)
    quiet = quiet_until(rules, now)
    if quiet is not None:
        # A field shows the newest value at once; a message, or what only a push brings, can wait.
        waits = cause == "message" or wallet == APPLE
        return Decision(DEFERRED if waits else SILENT, "quiet_hours", quiet)
    return Decision(RINGS, "within_budget")


def quiet_until(rules: Rules, now: datetime) -> datetime | None:
    """When the programme's quiet hours end; None when it is not quiet now."""
    if rules.quiet_hours is None:
        return None
    starts, ends = (time.fromisoformat(each) for each in rules.quiet_hours.split("-"))
    local = now.astimezone(ZoneInfo(rules.time_zone))
    is_over_midnight = starts > ends
    at = local.time().replace(tzinfo=None)
    is_quiet = (at >= starts or at < ends) if is_over_midnight else starts <= at < ends
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1) if is_over_midnight and at >= starts else local.date()
    return datetime.combine(day, ends, local.tzinfo).astimezone(now.tzinfo)


async def count(
    session: AsyncSession,
    program_id: str,
    pass_id: str,
    wallet: str,
    cause: Cause,
    *,
    key: str,
    purpose: Purpose,
    now: datetime,
) -> bool:
    """Count one ring, before it is sent; False if it was counted already: a try before this one.

    `key` is the version, or the message's id.
    """
    statement = (
        upsert(session, Ring)
        .values(
            pass_id=pass_id,
            wallet=wallet,
            cause=cause,
            key=key,
            program_id=program_id,
            purpose=purpose,
            at=now,
        )
        .on_conflict_do_nothing()
        .returning(Ring.key)
    )
    return await session.scalar(statement) is not None


async def is_counted(session: AsyncSession, pass_id: str, wallet: str, cause: Cause, *, key: str) -> bool:
    """Whether this ring was counted by a try before."""
    return await session.get(Ring, (pass_id, wallet, cause, key)) is not None


async def give_back(session: AsyncSession, pass_id: str, wallet: str, cause: Cause, *, key: str) -> None:
    """Uncount a ring that surely did not happen."""
    await session.execute(
        delete(Ring).where(
            Ring.pass_id == pass_id, Ring.wallet == wallet, Ring.cause == cause, Ring.key == key
        )
    )


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop what no budget looks at any more."""
    await session.execute(delete(Ring).where(Ring.at < now - 2 * DAY))
