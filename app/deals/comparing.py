"""Whether a deal of the CRM and our books say the same."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.deals import seen
from app.inbox import reading
from app.inbox.models import InboundEvent, Purchase, Source
from app.inbox.reasons import CannotApply
from app.members.models import Program


class Stated(Protocol):
    """A deal as a CRM states it."""

    @property
    def id(self) -> int: ...
    @property
    def amount(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def updated_at(self) -> datetime | None: ...


Read = TypeVar("Read", bound=Stated)


async def unmatched(
    session: AsyncSession, program: Program, source: Source, deals: Sequence[Read]
) -> list[Read]:
    """The deals whose worth is not what our books hold, and that nobody is at work on."""
    books = await worth(session, source, [seen.reference_of(deal.id) for deal in deals])
    found = [deal for deal in deals if expected(program, deal) != books.get(seen.reference_of(deal.id), 0)]
    return [deal for deal in found if not await _is_in_inbox(session, source, deal)]


def expected(program: Program, deal: Stated) -> int | None:
    """What our books should hold of a deal, in minor units; None where only a person can say."""
    if deal.outcome != "won":
        return 0
    try:
        return reading.amount(deal.amount, deal.currency or None, program)
    except CannotApply:
        return None


async def worth(session: AsyncSession, source: Source, references: Sequence[str]) -> dict[str, int]:
    """What our books hold of purchases, in minor units, by reference."""
    query = select(Purchase.reference, Purchase.amount_minor_units).where(
        Purchase.program_id == source.program_id,
        Purchase.source == source.key,
        Purchase.reference.in_(references),
    )
    return {row.reference: row.amount_minor_units for row in await session.execute(query)}


async def _is_in_inbox(session: AsyncSession, source: Source, deal: Stated) -> bool:
    """Whether a delivery of this deal waits, or rests since the deal was as it is now."""
    since = InboundEvent.state == "received"
    if deal.updated_at is not None:
        since = or_(since, (InboundEvent.state == "rested") & (InboundEvent.received_at > deal.updated_at))
    keys = [InboundEvent.event_key.startswith(f"oncrmdeal{what}:{deal.id}:") for what in ("add", "update")]
    query = select(InboundEvent.id).where(InboundEvent.source_id == source.id, or_(*keys), since)
    return await session.scalar(query.limit(1)) is not None
