"""Which tier an account has: by the points earned in the programme's rolling period, or set by hand.

An earning raises the tier at once (the ledger's own UPDATE does it). What has left the period is taken off
by `retier_due`, which a nightly job calls: a tier falls at night, never at the till.

`Account.tier_points` is the sum of what was earned since `Account.tier_from`, less what of it was reversed.
"""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Select, cast, func, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import locked
from app.members.models import Account, Program, Tier
from app.passes.versions import mark_account_changed
from app.points.announcing import tell_tier
from app.points.models import Entry
from app.points.refusals import UnknownAccount, UnknownTier


async def set_tier(
    session: AsyncSession, account_id: str, tier_id: str, *, program_id: str | None = None, now: datetime
) -> None:
    """Give an account a tier by hand; it stays until `follow_points`.

    Raises UnknownAccount, and UnknownTier for a tier that is not of the account's programme.
    """
    account = await _locked(session, account_id, program_id)
    tier = await session.get(Tier, tier_id)
    if tier is None or tier.program_id != account.program_id:
        raise UnknownTier(tier_id)
    account.tier_is_manual = True
    await _give(session, account, tier_id, now=now)


async def follow_points(
    session: AsyncSession, account_id: str, *, program_id: str | None = None, now: datetime
) -> None:
    """Take back a tier set by hand: from now on it follows the points again. Raises UnknownAccount."""
    account = await _locked(session, account_id, program_id)
    program = await session.get_one(Program, account.program_id)
    account.tier_is_manual = False
    await _recount(session, account, since=_period_start(program.tier_period_days, now), now=now)


async def retier_due(session: AsyncSession, *, limit: int, now: datetime) -> int:
    """Recount accounts some of whose points have left the period; return how many were recounted.

    At most `limit` accounts: call it again, in another transaction, until it returns 0.
    """
    programs = await session.execute(select(Program.id, Program.tier_period_days).order_by(Program.id))
    periods = {program_id: _period_start(days, now) for program_id, days in programs}
    recounted = 0
    for program_id, since in periods.items():
        due = select(Account.id).where(Account.program_id == program_id, Account.tier_from <= since)
        chosen = await session.scalars(due.order_by(Account.tier_from).limit(limit - recounted))
        for account_id in sorted(chosen):  # in one order, as every job that locks several accounts
            account = await _locked(session, account_id, program_id)
            await _recount(session, account, since=since, now=now)
            recounted += 1
        if recounted == limit:
            break
    return recounted


def counted(account_id: str, *, since: datetime, inclusive: bool = False) -> Select[int, datetime]:
    """A SELECT of (points, when the oldest was earned) that count towards the tier since a moment.

    A reversal counts by the date of what it reverses, so that the two leave the period together.
    """
    original = aliased(Entry)
    earned_at = func.coalesce(original.at, Entry.at, type_=Entry.at.type)
    return (
        select(cast(func.coalesce(func.sum(Entry.tier_points), 0), BigInteger), func.min(earned_at))
        .outerjoin(original, original.id == Entry.reverses_id)
        .where(Entry.account_id == account_id, Entry.tier_points != 0)
        .where(earned_at >= since if inclusive else earned_at > since)
    )


def _period_start(days: int, now: datetime) -> datetime:
    return now - timedelta(days=days)


async def _locked(session: AsyncSession, account_id: str, program_id: str | None) -> Account:
    query = select(Account).where(Account.id == account_id)
    if program_id is not None:
        query = query.where(Account.program_id == program_id)
    try:
        return await locked(session, query)
    except NoResultFound as error:
        raise UnknownAccount(account_id) from error


async def _recount(session: AsyncSession, account: Account, *, since: datetime, now: datetime) -> None:
    row = (await session.execute(counted(account.id, since=since))).one()
    account.tier_points, account.tier_from = row[0], row[1]
    if not account.tier_is_manual:
        within_reach = (
            select(Tier.id)
            .where(Tier.program_id == account.program_id, Tier.threshold <= account.tier_points)
            .order_by(Tier.threshold.desc())
            .limit(1)
        )
        await _give(session, account, await session.scalar(within_reach), now=now)
    await session.flush()


async def _give(session: AsyncSession, account: Account, tier_id: str | None, *, now: datetime) -> None:
    if account.tier_id == tier_id:
        return
    before, account.tier_id = account.tier_id, tier_id
    await session.flush()
    await tell_tier(session, account.program_id, account.id, before, tier_id, now=now)
    because = {"kind": "tier", "tier_id": tier_id or ""}
    await mark_account_changed(session, account.program_id, account.id, because=because, now=now)
