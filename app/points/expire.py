"""Points that were not spent in time leave the balance, lot by lot, as entries of the ledger."""

from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account
from app.passes.versions import mark_account_changed
from app.points.models import Entry, Lot, LotUse
from app.points.movements import Movement
from app.points.posting import post
from app.points.refusals import NotEnoughPoints, SequenceOutOfStep

log = structlog.get_logger(__name__)

SOURCE = "expiry"


async def expire_due(session: AsyncSession, *, limit: int, now: datetime) -> int:
    """Expire what is left of the lots whose date has passed; return how many lots that were.

    Takes the accounts of the `limit` lots that are due longest, each with all its due lots: call it again,
    in another transaction, until it returns 0. Repeating or running it twice at once expires nothing twice.
    An account whose books do not add up is left as it is: it must not keep everybody else's points alive.
    """
    due = select(Lot.account_id).where(Lot.remaining > 0, Lot.expires_at <= now)
    account_ids = await session.scalars(due.order_by(Lot.expires_at).limit(limit))
    # In one order, so that two runs wait for each other instead of deadlocking.
    return sum([await _expire_or_leave(session, each, now=now) for each in sorted(set(account_ids))])


async def _expire_or_leave(session: AsyncSession, account_id: str, *, now: datetime) -> int:
    try:
        async with session.begin_nested():
            return await _expire_account(session, account_id, now=now)
    except (NotEnoughPoints, SequenceOutOfStep, IntegrityError) as error:
        log.error("expiry.refused", account=account_id, reason=type(error).__name__)  # `reconcile` says more
        return 0


async def _expire_account(session: AsyncSession, account_id: str, *, now: datetime) -> int:
    # Locked before the lots are read: a redemption may be spending them at this moment.
    lock = select(Account.program_id).where(Account.id == account_id).with_for_update()
    program_id = (await session.scalars(lock)).one()
    lots = (
        select(Lot.entry_id, Lot.remaining)
        .where(Lot.account_id == account_id, Lot.remaining > 0, Lot.expires_at <= now)
        .order_by(Lot.expires_at, Lot.sequence)
    )
    expired = (await session.execute(lots)).all()
    for lot_id, remaining in expired:
        movement = Movement(
            account_id,
            "expire",
            -remaining,
            reason="",
            source=SOURCE,
            source_event=await _event(session, lot_id),
            now=now,
            by_operator=True,
            first_lot_id=lot_id,
        )
        await post(session, movement)
    if expired:
        because = {"kind": "expire", "lots": str(len(expired))}
        await mark_account_changed(session, program_id, account_id, because=because, now=now)
    return len(expired)


async def _event(session: AsyncSession, lot_id: str) -> str:
    """The event id of this lot's expiry: "lot:<id>", and with a number when points came back to it since."""
    earlier = (
        select(func.count())
        .select_from(LotUse)
        .join(Entry, Entry.id == LotUse.entry_id)
        .where(LotUse.lot_id == lot_id, Entry.kind == "expire")
    )
    times = (await session.scalars(earlier)).one()
    return f"lot:{lot_id}" if times == 0 else f"lot:{lot_id}:{times + 1}"
