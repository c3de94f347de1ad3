"""Telling other systems of movements and tiers. Where nobody listens it costs a look into memory."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account
from app.points.entries import EntryView
from app.points.movements import Movement
from app.webhooks.announce import announce, is_heard

_TYPES = {"reverse": "transaction.reversed", "expire": "transaction.expired"}


@dataclass(frozen=True, slots=True)
class Listened:
    """What must be known from before a movement."""

    tier_id: str | None
    moves_tier: bool


async def listening(session: AsyncSession, movement: Movement) -> Listened | None:
    """What to remember while the movement is written; None where nobody listens."""
    if not await is_heard(session, movement.program_id):
        return None
    moves_tier = movement.tier_points != 0
    return Listened(await _tier(session, movement.account_id) if moves_tier else None, moves_tier)


async def tell(session: AsyncSession, entry: EntryView, listened: Listened) -> None:
    """Announce an entry, and the tier it led to."""
    data = {
        "transaction_id": entry.id,
        "account_id": entry.account_id,
        "member_id": entry.member_id,
        "kind": entry.kind,
        "points": entry.points,
        "balance": entry.balance_after,
        "source": entry.source,
        "source_event": entry.source_event,
        "reverses": entry.reverses_id,
    }
    kind = _TYPES.get(entry.kind, "transaction.posted")
    await announce(session, entry.program_id, kind, data, now=entry.at)
    if listened.moves_tier:
        after = await _tier(session, entry.account_id)
        await tell_tier(session, entry.program_id, entry.account_id, listened.tier_id, after, now=entry.at)


async def tell_tier(
    session: AsyncSession,
    program_id: str,
    account_id: str,
    before: str | None,
    after: str | None,
    *,
    now: datetime,
) -> None:
    """Announce that an account has another tier, if it has."""
    if before == after:
        return
    data = {"account_id": account_id, "tier_id": after, "previous_tier_id": before}
    await announce(session, program_id, "tier.changed", data, now=now)


async def _tier(session: AsyncSession, account_id: str) -> str | None:
    return await session.scalar(select(Account.tier_id).where(Account.id == account_id))
