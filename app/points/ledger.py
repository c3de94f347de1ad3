"""The ledger: points are earned, redeemed, adjusted and reversed here, and nowhere else.

Every function works inside the caller's transaction and keeps the account locked until it ends. `source`
and `source_event` name what happened in the words of whoever reports it ("api", "order:1042"), unique in
the programme: reporting the same facts again changes nothing and gives the first entry, `repeated`.

Every movement marks the passes of the account changed, so that the phones are told.
`Account` objects the session already holds are not refreshed; `Posted.entry.balance_after` is the balance.
"""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

from sqlalchemy.ext.asyncio import AsyncSession

from app.points import mirroring
from app.points.entries import EntryView, entry, entry_of_event, history
from app.points.movements import Movement
from app.points.posting import Posted, post_and_tell, same_event
from app.points.rates import earning_rate, points_for_purchase
from app.points.refusals import (
    POINTS_MAX,
    AlreadyReversed,
    BadFact,
    CannotReverse,
    MemberBlocked,
    NoEarningRate,
    NotEnoughPoints,
    PointsOutOfRange,
    SourceEventReused,
    UnknownAccount,
    UnknownEntry,
    UnknownMember,
)

__all__ = [
    "POINTS_MAX",
    "AlreadyReversed",
    "BadFact",
    "CannotReverse",
    "EntryView",
    "MemberBlocked",
    "NoEarningRate",
    "NotEnoughPoints",
    "PlainKind",
    "PointsOutOfRange",
    "Posted",
    "SourceEventReused",
    "UnknownAccount",
    "UnknownEntry",
    "UnknownMember",
    "adjust",
    "earn",
    "earn_for_purchase",
    "entry",
    "history",
    "open_balance",
    "plain_movement",
    "redeem",
    "reverse",
]


class Said(TypedDict):
    """What is said of a plain movement besides account, kind and points."""

    reason: str
    source: str
    source_event: str
    member_id: NotRequired[str | None]  # which member of the account acted
    program_id: NotRequired[str | None]  # the programme the account must belong to


PlainKind = Literal["earn", "redeem", "adjust"]


def plain_movement(
    kind: PlainKind, account_id: str, points: int, *, now: datetime, **said: Unpack[Said]
) -> Movement:
    """An earning or a redemption (points above zero) or an adjustment (signed), as it is posted.

    Raises PointsOutOfRange.
    """
    adjusts = kind == "adjust"
    if adjusts and (points == 0 or abs(points) > POINTS_MAX):
        raise PointsOutOfRange(points, allowed=f"-{POINTS_MAX} to {POINTS_MAX} but zero")
    return Movement(
        account_id,
        kind,
        points if adjusts else -_positive(points) if kind == "redeem" else _positive(points),
        now=now,
        **said,
        by_operator=adjusts,
        tier_points=points if kind == "earn" else 0,
    )


def _positive(points: int) -> int:
    if not 1 <= points <= POINTS_MAX:
        raise PointsOutOfRange(points)
    return points


async def _post(session: AsyncSession, movement: Movement) -> Posted:
    """Write a movement, and in a programme that mirrors balances the same to every account of the phone."""
    others = await mirroring.lock_all(session, movement.account_id)
    posted = await post_and_tell(session, movement)
    if others and not posted.repeated:
        await mirroring.follow(session, posted.entry, movement, others)
    return posted


async def earn(
    session: AsyncSession, account_id: str, points: int, *, now: datetime, **said: Unpack[Said]
) -> Posted:
    """Credit points (above zero) that were earned: they count towards the tier, and expire as a lot.

    Raises UnknownAccount, UnknownMember, MemberBlocked, PointsOutOfRange, SourceEventReused.
    """
    return await _post(session, plain_movement("earn", account_id, points, now=now, **said))


async def redeem(
    session: AsyncSession, account_id: str, points: int, *, now: datetime, **said: Unpack[Said]
) -> Posted:
    """Debit points (given above zero) the member spends; those that expire first are spent first.

    Raises NotEnoughPoints, and what `earn` raises.
    """
    return await _post(session, plain_movement("redeem", account_id, points, now=now, **said))


async def adjust(
    session: AsyncSession, account_id: str, points: int, *, now: datetime, **said: Unpack[Said]
) -> Posted:
    """Correct a balance by hand: above zero credits, below zero debits. Does not count towards the tier.

    Possible for blocked members too. Raises NotEnoughPoints and what `earn` raises but MemberBlocked.
    """
    return await _post(session, plain_movement("adjust", account_id, points, now=now, **said))


async def open_balance(
    session: AsyncSession,
    account_id: str,
    points: int,
    *,
    reason: str,
    source: str,
    source_event: str,
    program_id: str | None = None,
    now: datetime,
) -> Posted:
    """Credit what a member brings from elsewhere, as an import does. Does not count towards the tier.

    Raises what `adjust` raises.
    """
    movement = Movement(
        account_id,
        "opening",
        _positive(points),
        reason,
        source,
        source_event,
        now,
        program_id=program_id,
        by_operator=True,
    )
    return await _post(session, movement)


async def reverse(
    session: AsyncSession,
    entry_id: str,
    *,
    reason: str,
    source: str,
    source_event: str,
    program_id: str | None = None,
    now: datetime,
) -> Posted:
    """Undo an entry by an opposite one.

    A reversed debit gives its points back to the lots they came from, with the dates they had. A reversed
    credit takes what is left of its own lot, then of the others; it stops counting towards the tier.

    Raises UnknownEntry, AlreadyReversed, CannotReverse (a reversal, an expiry), NotEnoughPoints where
    the points have been spent and the balance does not cover them, SourceEventReused, PointsOutOfRange.
    """
    original = await entry(session, entry_id, program_id=program_id)
    if original is None:
        raise UnknownEntry(entry_id)
    if original.kind == "reverse":
        raise CannotReverse("a reversal is not reversed: post the movement anew under another event id")
    if original.kind == "expire":
        raise CannotReverse("an expiry is not reversed: adjust the balance instead")
    movement = Movement(
        original.account_id,
        "reverse",
        -original.points,
        reason,
        source,
        source_event,
        now,
        program_id=program_id,
        by_operator=True,
        reverses_id=original.id,
        tier_points=-original.tier_points,
        tier_at=original.at,
        first_lot_id=original.id,
    )
    return await _post(session, movement)


async def earn_for_purchase(
    session: AsyncSession,
    account_id: str,
    amount_minor_units: int,
    *,
    reason: str,
    source: str,
    source_event: str,
    member_id: str | None = None,
    program_id: str | None = None,
    now: datetime,
) -> Posted | None:
    """Credit what a purchase earns at the rate of the account's tier, rounded down to whole points.

    `amount_minor_units` is in kopecks, cents or whatever the programme's currency has. None, with nothing
    recorded, when the purchase is too small to earn a point. A repeat compares the amount, not the
    points: the tier may have changed since.

    Raises NoEarningRate and what `earn` raises.
    """
    rate = await earning_rate(session, account_id, program_id=program_id)
    points = points_for_purchase(
        amount_minor_units, currency=rate.currency, rate_basis_points=rate.basis_points
    )
    movement = Movement(
        account_id,
        "earn",
        points,
        reason,
        source,
        source_event,
        now,
        program_id=rate.program_id,
        member_id=member_id,
        amount_minor_units=amount_minor_units,
        tier_points=points,
    )
    if points == 0:
        first = await entry_of_event(session, rate.program_id, source, source_event)
        return None if first is None else same_event(first, movement)
    return await _post(session, movement)
