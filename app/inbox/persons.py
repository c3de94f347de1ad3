"""Whose points an event moves: from what a source says of a person to an account and maybe a member."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import Person
from app.inbox.models import Source
from app.inbox.reasons import CannotApply
from app.members import people
from app.members.models import Account, ExternalId, Member, Program


@dataclass(frozen=True, slots=True)
class Found:
    """An account, and which of its members it was; None where nobody can say."""

    account_id: str
    member: Member | None


async def find(session: AsyncSession, program: Program, source: Source, person: Person) -> Found:
    """The account an event is about.

    The source's own id of the contact comes first, then the card, then the phone. A contact that is found by
    phone is remembered by its id from then on, when it is clear which member of the phone it is.

    Raises CannotApply.
    """
    member = await linked(session, source, person) or await _by_card(session, program, person)
    if member is not None:
        return Found(member.account_id, member)
    if not person.phone:
        raise CannotApply("no_phone" if person.contact else "no_person", who=person.contact or "")
    account, members = await on_phone(session, program, phone_of(program, person))
    if account is None:
        raise CannotApply("unknown_contact", who=person.phone)
    member = who_of(members, person)
    if member is not None:
        await link(session, source, member, person)
    return Found(account.id, member)


def phone_of(program: Program, person: Person) -> str:
    """A person's phone in E.164. Raises CannotApply."""
    try:
        return people.parse_phone(person.phone or "", program.country)
    except people.InvalidPhone as error:
        raise CannotApply("bad_phone", phone=person.phone or "") from error


async def linked(session: AsyncSession, source: Source, person: Person) -> Member | None:
    """The member that a source's contact is known to be."""
    if not person.contact:
        return None
    query = (
        select(Member)
        .join(ExternalId, ExternalId.member_id == Member.id)
        .where(
            ExternalId.program_id == source.program_id,
            ExternalId.source == source.key,
            ExternalId.external_id == person.contact,
        )
    )
    return await session.scalar(query)


async def link(session: AsyncSession, source: Source, member: Member, person: Person) -> None:
    """Remember which member a source's contact is. Raises ExternalIdTaken."""
    if person.contact:
        await people.add_external_ids(session, member, [(source.key, person.contact)])


async def on_phone(
    session: AsyncSession, program: Program, phone: str
) -> tuple[Account | None, list[Member]]:
    """The account of a phone (E.164) and the members on it, oldest first."""
    account = await people.account_on(session, program.id, phone)
    if account is None:
        return None, []
    if program.balances == "mirrored":
        query = select(Member).where(Member.program_id == program.id, Member.phone == phone)
        return account, list(await session.scalars(query.order_by(Member.id)))
    return account, list(await people.members_of(session, account.id))


def who_of(members: list[Member], person: Person) -> Member | None:
    """Which of the members on a phone a person is: the one of that name, or the only one if none is said."""
    if person.name:
        return next((each for each in members if people.is_same_name(each.name, person.name)), None)
    return members[0] if len(members) == 1 else None


async def _by_card(session: AsyncSession, program: Program, person: Person) -> Member | None:
    if not person.card_number:
        return None
    query = select(Member).where(Member.program_id == program.id, Member.card_number == person.card_number)
    member = await session.scalar(query)
    if member is None and not person.phone:
        raise CannotApply("unknown_card", card=person.card_number)
    return member
