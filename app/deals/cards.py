"""The card in a deal: whether the contact has one, what it holds, and how much of the deal it may pay."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import Person
from app.db import locked
from app.inbox import persons, reading
from app.inbox.models import Source
from app.inbox.reasons import CannotApply
from app.members.models import Account, Member, Program, Tier
from app.points import ledger
from app.points.ledger import Posted
from app.points.models import Entry
from app.points.rates import decimals_of

PERCENT = 100


@dataclass(frozen=True, slots=True)
class Card:
    """What a manager sees. `member` is None where the phone is known and the person on it is not."""

    member: Member | None
    account_id: str
    balance: int
    tier: Tier | None
    holders: tuple[str, ...]  # the names of all on this account, oldest first

    def tier_name(self, language: str) -> str:
        """The tier's name in a language, or in whichever it has; "" without a tier."""
        names = self.tier.names if self.tier else {}
        return str(names.get(language) or next(iter(names.values()), ""))


async def find(session: AsyncSession, program: Program, source: Source, person: Person) -> Card | None:
    """The card of a person; None where there is none to be found: offer to issue one.

    Raises CannotApply for a phone that is none.
    """
    member = await persons.linked(session, source, person)
    account_id = member.account_id if member else None
    if account_id is None and person.phone:
        account, members = await persons.on_phone(session, program, persons.phone_of(program, person))
        account_id = account.id if account else None
        member = persons.who_of(members, person)
    return None if account_id is None else await _card(session, account_id, member)


async def _card(session: AsyncSession, account_id: str, member: Member | None) -> Card:
    query = (
        select(Account.balance, Tier)
        .outerjoin(Tier, Tier.id == Account.tier_id)
        .where(Account.id == account_id)
    )
    row = (await session.execute(query)).one()
    holders = await session.scalars(
        select(Member.name).where(Member.account_id == account_id).order_by(Member.id)
    )
    return Card(member, account_id, row.balance, row.Tier, tuple(holders))


async def redeemed(session: AsyncSession, source: Source, reference: str) -> int:
    """The points that were spent on a deal so far."""
    query = select(func.coalesce(func.sum(-Entry.points), 0)).where(
        Entry.program_id == source.program_id,
        Entry.source == source.key,
        Entry.source_event.startswith(_stem(reference), autoescape=True),
    )
    return int(await session.scalar(query) or 0)


async def redeemable_in(
    session: AsyncSession,
    program: Program,
    source: Source,
    card: Card,
    *,
    reference: str,
    amount: str,
    currency: str,
    percent_max: int,
) -> int:
    """How many more points of the card may be spent on a deal. 0 for an amount that is none of ours."""
    allowed = allowed_in(program, amount=amount, currency=currency, percent_max=percent_max)
    return max(0, min(card.balance, allowed - await redeemed(session, source, reference)))


def allowed_in(program: Program, *, amount: str, currency: str, percent_max: int) -> int:
    """How many points may be spent on a deal in all: a point is one unit of money, whole ones only."""
    try:
        minor_units = reading.amount(amount, currency or None, program)
    except CannotApply:  # what is wrong with it is said when the deal is won
        return 0
    return minor_units * percent_max // (PERCENT * 10 ** decimals_of(program.currency))


async def redeem(
    session: AsyncSession,
    source: Source,
    card: Card,
    points: int,
    *,
    reference: str,
    allowed: int,
    key: str,
    reason: str,
    now: datetime,
) -> Posted:
    """Spend points on a deal, at most `allowed` in all; once per `key`.

    Raises CannotApply, and what the ledger raises.
    """
    await locked(session, select(Account).where(Account.id == card.account_id))
    spent = await redeemed(session, source, reference)
    event = f"{_stem(reference)}{key}"
    is_repeat = await session.scalar(
        select(Entry.id).where(
            Entry.program_id == source.program_id, Entry.source == source.key, Entry.source_event == event
        )
    )
    if not is_repeat and spent + points > allowed:
        raise CannotApply("redeems_too_much", asked=points, allowed=max(0, allowed - spent))
    return await ledger.redeem(
        session,
        card.account_id,
        points,
        reason=reason,
        source=source.key,
        source_event=event,
        member_id=card.member.id if card.member else None,
        program_id=source.program_id,
        now=now,
    )


def _stem(reference: str) -> str:
    return f"{reference}:redeem:"
