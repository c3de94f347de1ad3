"""Deals as we last read them, so that one reading serves everybody who waits for it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import Person, PurchaseChanged
from app.db import upsert
from app.deals.models import Deal
from app.inbox.models import InboundEvent, Source

REASON_LENGTH_MAX = 256


async def note(session: AsyncSession, rows: Iterable[dict[str, Any]]) -> None:
    """Keep what REST said of deals; an older reading never takes a newer one's place."""
    for row in rows:
        statement = upsert(session, Deal).values(row)
        newer = {name: value for name, value in row.items() if name not in ("source_id", "deal_id")}
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["source_id", "deal_id"],
                set_=newer,
                where=Deal.read_at <= statement.excluded.read_at,
            )
        )


async def find(
    session: AsyncSession, source_id: str, deal_id: int, *, not_before: datetime | None = None
) -> Deal | None:
    """The deal as it was read, if that was not before a moment."""
    query = select(Deal).where(Deal.source_id == source_id, Deal.deal_id == deal_id)
    if not_before is not None:
        query = query.where(Deal.read_at > not_before)
    return await session.scalar(query, execution_options={"populate_existing": True})


async def awaited(session: AsyncSession, source: Source, *, prefix: str, limit: int) -> Sequence[str]:
    """The keys of deliveries that wait to be handled and begin with `prefix`, the oldest first."""
    query = (
        select(InboundEvent.event_key)
        .where(
            InboundEvent.source_id == source.id,
            InboundEvent.state == "received",
            InboundEvent.event_key.like(f"{prefix}%"),
        )
        .order_by(InboundEvent.id)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


def reference_of(deal_id: int) -> str:
    """What ledger and purchases call a deal: "deal:7405"."""
    return f"deal:{deal_id}"


def purchase(deal: Deal) -> PurchaseChanged:
    """What the deal is worth as a purchase: its amount once it is won, nothing before and when it is lost."""
    is_won = deal.outcome == "won"
    return PurchaseChanged(
        reference_of(deal.deal_id),
        person(deal),
        amount=deal.amount if is_won else "0",
        currency=deal.currency if is_won else None,
        reason=deal.title[:REASON_LENGTH_MAX],
        as_of=deal.updated_at,
    )


def person(deal: Deal) -> Person:
    """Whom the deal is with."""
    phones: Sequence[str] = deal.person.get("phones") or ()
    return Person(
        contact=deal.contact,
        phone=next(iter(phones), None),
        name=deal.person.get("name") or None,
        email=deal.person.get("email"),
        birthday=deal.person.get("birthday"),
    )
