"""Purchases and won deals: their points follow what they are worth, however often that changes.

A purchase is one row, locked while it changes, so the same report posts nothing twice and ten edits post ten
differences. Its entries are "order:1042", "order:1042#2" ... in the ledger.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import Person, PurchaseChanged, PurchaseReturned
from app.db import locked, upsert
from app.inbox import persons, reading
from app.inbox.models import Purchase, Source
from app.inbox.reasons import CannotApply
from app.members.models import Program
from app.points import ledger
from app.points.entries import entry_of_event, reversal_of
from app.points.rates import earning_rate, points_for_purchase

REFERENCE_LENGTH_MAX = 96
REFUNDS_MAX = 200


async def change(
    session: AsyncSession, program: Program, source: Source, event: PurchaseChanged, *, now: datetime
) -> str | None:
    """Bring the points of a purchase to what it is worth now; the id of the newest entry, None without one.

    A purchase worth nothing that was never credited posts nothing. Raises CannotApply and what the ledger
    raises: NotEnoughPoints where the points to take back have been spent.
    """
    amount = reading.amount(event.amount, event.currency, program)
    if not event.reference or len(event.reference) > REFERENCE_LENGTH_MAX:
        raise CannotApply("unreadable", what=f"reference: {event.reference[:40]}")
    purchase = await _find(session, source, event.reference)
    if purchase is None:
        if amount == 0:
            return None
        purchase = await _begin(session, program, source, event, now=now)
    elif event.as_of and purchase.as_of and event.as_of < purchase.as_of:
        return None  # a newer report came first
    purchase.as_of = event.as_of or purchase.as_of
    member_id = await _member_id(session, program, source, event.person, purchase)
    return await _bring_to(session, source, purchase, amount, event.reason, member_id=member_id, now=now)


async def take_back(
    session: AsyncSession, program: Program, source: Source, event: PurchaseReturned, *, now: datetime
) -> str | None:
    """Lower what a purchase is worth by what was returned, once per refund; the id of the newest entry.

    Raises CannotApply and what the ledger raises.
    """
    amount = reading.amount(event.amount, event.currency, program)
    purchase = await _find(session, source, event.reference)
    if purchase is None:
        raise CannotApply("unknown_purchase", reference=event.reference)
    if event.refund in purchase.refunds or purchase.amount_minor_units == 0:
        return None  # what is worth nothing any more, such as a cancelled order, cannot be worth less
    if amount > purchase.amount_minor_units or len(purchase.refunds) >= REFUNDS_MAX:
        raise CannotApply("returned_too_much", reference=event.reference)
    purchase.refunds = [*purchase.refunds, event.refund]
    left = purchase.amount_minor_units - amount
    return await _bring_to(session, source, purchase, left, "", member_id=None, now=now)


async def _find(session: AsyncSession, source: Source, reference: str) -> Purchase | None:
    query = select(Purchase).where(
        Purchase.program_id == source.program_id,
        Purchase.source == source.key,
        Purchase.reference == reference,
    )
    return await session.scalar(query.with_for_update(), execution_options={"populate_existing": True})


async def _begin(
    session: AsyncSession, program: Program, source: Source, event: PurchaseChanged, *, now: datetime
) -> Purchase:
    found = await persons.find(session, program, source, event.person)
    rate = await earning_rate(session, found.account_id, program_id=program.id)
    key = {"program_id": program.id, "source": source.key, "reference": event.reference}
    statement = upsert(session, Purchase).values(
        **key,
        account_id=found.account_id,
        amount_minor_units=0,
        rate_basis_points=rate.basis_points,
        points=0,
        revision=0,
        refunds=[],
        changed_at=now,
    )
    # Two first reports at once: the second waits here, and then finds what the first has posted.
    await session.execute(statement.on_conflict_do_nothing())
    return await locked(session, select(Purchase).filter_by(**key))


async def _member_id(
    session: AsyncSession, program: Program, source: Source, person: Person, purchase: Purchase
) -> str | None:
    """Who bought, where that is known; whoever it is now, the points stay on the purchase's account."""
    member = await persons.linked(session, source, person)
    return member.id if member and member.account_id == purchase.account_id else None


async def _bring_to(
    session: AsyncSession,
    source: Source,
    purchase: Purchase,
    amount: int,
    reason: str,
    *,
    member_id: str | None,
    now: datetime,
) -> str | None:
    """Post the difference between what the purchase has brought and what it must."""
    program = await session.get_one(Program, purchase.program_id)
    if amount and not purchase.amount_minor_units and purchase.revision:
        # Won a second time after it was undone: by the tier of today.
        rate = await earning_rate(session, purchase.account_id, program_id=program.id)
        purchase.rate_basis_points = rate.basis_points
    wanted = amount and points_for_purchase(
        amount, currency=program.currency, rate_basis_points=purchase.rate_basis_points
    )
    newest = None
    standing = purchase.points
    if wanted < standing:
        newest = await _lower(session, source, purchase, wanted, reason, member_id=member_id, now=now)
    elif wanted > standing:
        newest = await _earn(
            session, source, purchase, wanted - standing, reason, member_id=member_id, now=now
        )
    purchase.amount_minor_units, purchase.points, purchase.changed_at = amount, wanted, now
    await session.flush()
    return newest


async def _lower(
    session: AsyncSession,
    source: Source,
    purchase: Purchase,
    wanted: int,
    reason: str,
    *,
    member_id: str | None,
    now: datetime,
) -> str | None:
    """Reverse every entry that stands, after crediting what remains: so the balance never dips below."""
    standing = await _standing_entries(session, source, purchase)
    if wanted:
        await _earn(session, source, purchase, wanted, reason, member_id=member_id, now=now)
    newest = None
    for entry_id in standing:
        purchase.revision += 1
        posted = await ledger.reverse(
            session,
            entry_id,
            reason=reason[:256],
            source=source.key,
            source_event=_event_of(purchase.reference, purchase.revision),
            program_id=purchase.program_id,
            now=now,
        )
        newest = posted.entry.id
    return newest


async def _standing_entries(session: AsyncSession, source: Source, purchase: Purchase) -> list[str]:
    """The credits of a purchase that nothing has reversed, newest first."""
    found: list[str] = []
    for revision in range(purchase.revision, 0, -1):
        event = _event_of(purchase.reference, revision)
        entry = await entry_of_event(session, purchase.program_id, source.key, event)
        if entry and entry.kind == "earn" and await reversal_of(session, entry.id) is None:
            found.append(entry.id)
    return found


async def _earn(
    session: AsyncSession,
    source: Source,
    purchase: Purchase,
    points: int,
    reason: str,
    *,
    member_id: str | None,
    now: datetime,
) -> str:
    purchase.revision += 1
    posted = await ledger.earn(
        session,
        purchase.account_id,
        points,
        reason=reason[:256],
        source=source.key,
        source_event=_event_of(purchase.reference, purchase.revision),
        member_id=member_id,
        program_id=purchase.program_id,
        now=now,
    )
    return posted.entry.id


def _event_of(reference: str, revision: int) -> str:
    return reference if revision == 1 else f"{reference}#{revision}"
