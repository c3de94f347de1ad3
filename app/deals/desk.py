"""What a manager does with a card in a deal: look, spend points, add some, issue a card, or leave it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked
from app.deals import cards, seen
from app.deals.cards import Card
from app.deals.models import Deal
from app.inbox import reading
from app.inbox.models import Source
from app.inbox.reasons import CannotApply
from app.members.models import Account, Program
from app.points import ledger
from app.points.ledger import Posted
from app.points.rates import decimals_of

ADD_MAX = 1_000_000  # a slip of the finger is not posted


@dataclass(frozen=True, slots=True)
class DealCard:
    """A deal, the card of whom it is with, and what the card may pay of it."""

    deal: Deal
    card: Card | None  # None: offer to issue one
    amount_minor_units: int | None  # None: not in the programme's currency, or no amount
    allowed: int  # points that may be spent on the deal in all
    redeemed: int  # that were

    @property
    def redeemable(self) -> int:
        balance = self.card.balance if self.card else 0
        return max(0, min(balance, self.allowed - self.redeemed))


async def look(
    session: AsyncSession, program: Program, source: Source, deal: Deal, *, percent_max: int
) -> DealCard:
    """The card in a deal. Raises CannotApply for a phone that is none."""
    try:
        amount = reading.amount(deal.amount, deal.currency or None, program)
    except CannotApply:
        amount = None
    allowed = cards.allowed_in(program, amount=deal.amount, currency=deal.currency, percent_max=percent_max)
    return DealCard(
        deal,
        await cards.find(session, program, source, seen.person(deal)),
        amount,
        allowed,
        await cards.redeemed(session, source, seen.reference_of(deal.deal_id)),
    )


def to_pay_minor_units(view: DealCard, program: Program) -> int | None:
    """What is left to pay in money after the points that were spent: a point is one unit of it."""
    if view.amount_minor_units is None:
        return None
    return max(0, view.amount_minor_units - view.redeemed * 10 ** decimals_of(program.currency))


async def redeem(
    session: AsyncSession,
    program: Program,
    source: Source,
    deal: Deal,
    points: int,
    *,
    percent_max: int,
    key: str,
    now: datetime,
) -> Posted:
    """Spend points on the deal, once per `key`. Raises CannotApply and what the ledger raises."""
    view = await look(session, program, source, deal, percent_max=percent_max)
    return await cards.redeem(
        session,
        source,
        _card(view),
        points,
        reference=seen.reference_of(deal.deal_id),
        allowed=view.allowed,
        key=key,
        reason=deal.title[: seen.REASON_LENGTH_MAX],
        now=now,
    )


async def add(
    session: AsyncSession,
    program: Program,
    source: Source,
    deal: Deal,
    points: int,
    *,
    reason: str,
    key: str,
    now: datetime,
) -> Posted:
    """Credit points by hand, once per `key`. Raises CannotApply and what the ledger raises."""
    if not 1 <= points <= ADD_MAX:
        raise CannotApply("bad_points", points=points)
    view = await look(session, program, source, deal, percent_max=0)
    card = _card(view)
    await locked(session, select(Account).where(Account.id == card.account_id))
    return await ledger.earn(
        session,
        card.account_id,
        points,
        reason=(reason or deal.title)[: seen.REASON_LENGTH_MAX],
        source=source.key,
        source_event=f"{seen.reference_of(deal.deal_id)}:add:{key}",
        member_id=card.member.id if card.member else None,
        program_id=program.id,
        now=now,
    )


def _card(view: DealCard) -> Card:
    if view.card is None:
        raise CannotApply("unknown_contact", who=view.deal.contact or f"deal {view.deal.deal_id}")
    return view.card
