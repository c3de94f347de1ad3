"""People: their phones, the account they share, finding and changing them."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import phonenumbers
from sqlalchemy import Select, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked, new_id, upsert
from app.members.models import Account, ExternalId, Member, Program, Tier
from app.webhooks.announce import announce

EXTERNAL_ID_PREFIX = "ext:"
_CARD_NUMBER_TRIES = 8
_BORDERS_MAX = 16


class InvalidPhone(Exception):
    """The text is not a phone number that can exist; says what to write instead."""


class UnknownMember(Exception):
    """No member of this programme has this id."""


class UnknownAccount(Exception):
    """No account of this programme has this id."""


class AmbiguousExternalId(Exception):
    """An "ext:source:id" can be read in two ways, and both exist."""


class CardNumberTaken(Exception):
    """Another member of the programme has this card number."""


class ExternalIdTaken(Exception):
    """Another member of the programme has this external id."""


class PhoneKnown(Exception):
    """Somebody has this phone, and the caller wanted to be asked before they share an account."""


class PhoneTaken(Exception):
    """Another account of the programme has this phone number."""


def parse_phone(text: str, country: str) -> str:
    """A phone as people write it, in E.164: "8 (912) 345-67-89" in RU is "+79123456789".

    `country` (ISO 3166, "RU") is that of numbers written without a country code. Raises InvalidPhone.
    """
    like = phone_example(country).replace(" ", "").replace("-", "")
    try:
        number = phonenumbers.parse(text[:64], country)
    except phonenumbers.NumberParseException as error:
        raise InvalidPhone(f"this is not a phone number: write it like {like}") from error
    if number.extension or not phonenumbers.is_valid_number(number):
        raise InvalidPhone(f"no phone can have this number: write it with its country code, like {like}")
    return _e164(number)


def phone_example(country: str) -> str:
    """A mobile number of a country as people would write it abroad, such as "+7 912 345-67-89"."""
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return "+7 912 345-67-89"
    return phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_same_name(one: str, other: str) -> bool:
    """Whether two spellings are one name: case, spaces and the Russian ё aside."""
    return one.casefold().replace("ё", "е").split() == other.casefold().replace("ё", "е").split()


async def find_or_create_account(
    session: AsyncSession, program: Program, phone: str | None, now: datetime
) -> tuple[Account, bool]:
    """The account of a phone (E.164) in a programme, and whether it is new. Without a phone always new.

    A phone that only a member has, who shares another's account, leads to that account.
    """
    if phone is not None and (known := await account_on(session, program.id, phone)):
        return known, False
    values = {
        "id": new_id("acc"),
        "program_id": program.id,
        "phone": phone,
        "balance": 0,
        "sequence": 0,
        "tier_id": await _first_tier(session, program.id),
        "tier_is_manual": False,
        "created_at": now,
    }
    statement = upsert(session, Account).values(values)
    statement = statement.on_conflict_do_nothing(index_elements=["program_id", "phone"]).returning(Account.id)
    created = await session.scalar(statement)
    mine = Account.id == created if created else (Account.program_id == program.id) & (Account.phone == phone)
    return (await session.scalars(select(Account).where(mine))).one(), created is not None


async def account_beside(session: AsyncSession, program: Program, account: Account, now: datetime) -> Account:
    """The account of one more member on this one's phone: the same, or a new one where balances are mirrored.

    A new one begins with nothing: it follows what happens from now on.
    """
    if program.balances != "mirrored" or not await members_of(session, account.id):
        return account
    return (await find_or_create_account(session, program, None, now))[0]


async def account_on(session: AsyncSession, program_id: str, phone: str) -> Account | None:
    """The account of a phone (E.164), else of the first member who has it."""
    query = select(Account).where(Account.program_id == program_id)
    if (found := await session.scalar(query.where(Account.phone == phone))) is not None:
        return found
    query = query.join(Member, Member.account_id == Account.id).where(Member.phone == phone)
    return await session.scalar(query.order_by(Member.id).limit(1))


async def members_of(session: AsyncSession, account_id: str) -> Sequence[Member]:
    """The members who share an account, oldest first."""
    query = select(Member).where(Member.account_id == account_id).order_by(Member.id)
    return (await session.scalars(query)).all()


async def refuse_known_phone(session: AsyncSession, program_id: str, phone: str) -> None:
    """Raises PhoneKnown, naming the cards, where somebody has this phone (E.164)."""
    account = await account_on(session, program_id, phone)
    if account is None:
        return
    members = await members_of(session, account.id)
    cards = ", ".join(f"{each.card_number} ({each.name})" for each in members)
    raise PhoneKnown(f"account {account.id} has this phone already, with the cards {cards or 'of nobody'}")


async def _first_tier(session: AsyncSession, program_id: str) -> str | None:
    return await session.scalar(select(Tier.id).where(Tier.program_id == program_id, Tier.threshold == 0))


async def add_member(
    session: AsyncSession,
    program: Program,
    account: Account,
    *,
    name: str,
    phone: str | None,
    email: str | None,
    birthday: date | None,
    language: str,
    answers: Mapping[str, Any],
    card_number: str | None = None,
    now: datetime,
) -> Member:
    """A new member on an account; without a card number one is drawn. Raises CardNumberTaken."""
    if card_number is not None and await _has_card(session, program.id, card_number):
        raise CardNumberTaken(f"card number {card_number} belongs to another member")
    member = Member(
        id=new_id("mem"),
        program_id=program.id,
        account_id=account.id,
        card_number=card_number or await _draw_card_number(session, program.id),
        name=name,
        phone=phone,
        email=email,
        birthday=birthday,
        language=language,
        answers=dict(answers),
        state="active",
        created_at=now,
    )
    session.add(member)
    try:
        await session.flush()
    except IntegrityError as error:  # another request took the number since we looked
        raise CardNumberTaken("the card number belongs to another member") from error
    await announce(session, program.id, "member.enrolled", _told(member), now=now)
    return member


def _told(member: Member) -> dict[str, Any]:
    """A member as other systems are told: ids only, what a person is called is asked for with a key."""
    return {"member_id": member.id, "account_id": member.account_id, "card_number": member.card_number}


async def add_external_ids(
    session: AsyncSession, member: Member, external_ids: Sequence[tuple[str, str]]
) -> None:
    """Note a member's ids in other systems, as (source, id). May be repeated. Raises ExternalIdTaken."""
    for source, external_id in external_ids:
        key = {"program_id": member.program_id, "source": source, "external_id": external_id}
        statement = upsert(session, ExternalId).values(**key, member_id=member.id)
        await session.execute(statement.on_conflict_do_nothing())
        owner = await session.scalar(select(ExternalId.member_id).filter_by(**key))
        if owner != member.id:
            raise ExternalIdTaken(f"{source} {external_id} is already member {owner}")


async def external_ids_of(session: AsyncSession, member_ids: Sequence[str]) -> dict[str, list[ExternalId]]:
    """The external ids of several members, by member."""
    found: dict[str, list[ExternalId]] = {member_id: [] for member_id in member_ids}
    query = select(ExternalId).where(ExternalId.member_id.in_(member_ids))
    for row in await session.scalars(query.order_by(ExternalId.source, ExternalId.external_id)):
        found[row.member_id].append(row)
    return found


async def member_by_id(session: AsyncSession, program_id: str, member_id: str) -> Member:
    """The member with this id, or known to a source by it: "ext:bitrix24:contact:4711".

    Raises UnknownMember, AmbiguousExternalId.
    """
    if member_id.startswith(EXTERNAL_ID_PREFIX):
        return await _by_external_id(session, program_id, member_id.removeprefix(EXTERNAL_ID_PREFIX))
    found = await session.scalar(
        select(Member).where(Member.id == member_id, Member.program_id == program_id)
    )
    if found is None:
        raise UnknownMember(f"no member {member_id}")
    return found


async def member_to_change(session: AsyncSession, program_id: str, member_id: str) -> Member:
    """As `member_by_id`, and ours alone until commit: what is merged into the member is merged into this.

    Raises UnknownMember, AmbiguousExternalId.
    """
    found = await member_by_id(session, program_id, member_id)
    return await locked(session, select(Member).where(Member.id == found.id))


def ids_by_external_id(program_id: str, name: str) -> Select[str]:
    """The ids of the members whom a source knows by "source:id", as a query."""
    # Sources and ids may both contain colons ("bitrix24:school.ru", "contact:4711"): any may be the border.
    borders = [at for at, character in enumerate(name) if character == ":"]
    readings = [(name[:at], name[at + 1 :]) for at in borders[:_BORDERS_MAX]]
    return select(ExternalId.member_id).where(
        ExternalId.program_id == program_id,
        tuple_(ExternalId.source, ExternalId.external_id).in_(readings),
    )


async def _by_external_id(session: AsyncSession, program_id: str, name: str) -> Member:
    query = select(Member).where(Member.id.in_(ids_by_external_id(program_id, name))).limit(2)
    found = (await session.scalars(query)).all()
    if not found:
        raise UnknownMember(f"no member {EXTERNAL_ID_PREFIX}{name}")
    if len(found) > 1:
        raise AmbiguousExternalId(f"{EXTERNAL_ID_PREFIX}{name} names two members: ask by member id")
    return found[0]


async def account_by_id(session: AsyncSession, program_id: str, account_id: str) -> Account:
    """The account with this id. Raises UnknownAccount."""
    found = await session.scalar(
        select(Account).where(Account.id == account_id, Account.program_id == program_id)
    )
    if found is None:
        raise UnknownAccount(f"no account {account_id}")
    return found


async def update_member(session: AsyncSession, member: Member, changes: Mapping[str, Any]) -> set[str]:
    """Change a member's name, phone, email, birthday, language or answers; the fields that really changed.

    The phone of a member alone on an account is the account's too; among several, the account keeps its
    own. The member comes from `member_to_change`; the passes are the caller's to mark. Raises PhoneTaken.
    """
    changed = {field for field, value in changes.items() if getattr(member, field) != value}
    for field in changed:
        setattr(member, field, changes[field])
    if "phone" in changed:
        await _move_phone(session, member)
    try:
        await session.flush()
    except IntegrityError as error:  # another request took the number since we looked
        raise PhoneTaken(f"another account has the phone number {changes['phone']}") from error
    return changed


async def _move_phone(session: AsyncSession, member: Member) -> None:
    account = await locked(session, select(Account).where(Account.id == member.account_id))
    others = select(Member.id).where(Member.account_id == account.id, Member.id != member.id)
    if await session.scalar(others.limit(1)):
        return
    holder = select(Account.id).where(
        Account.program_id == member.program_id, Account.phone == member.phone, Account.id != account.id
    )
    if member.phone is not None and (other := await session.scalar(holder)):
        raise PhoneTaken(f"account {other} has the phone number {member.phone}")
    account.phone = member.phone


async def set_state(session: AsyncSession, member: Member, state: str) -> bool:
    """Block ("blocked") a member or let them back ("active"); whether that changed anything.

    The member comes from `member_to_change`.
    """
    if member.state == state:
        return False
    member.state = state
    await session.flush()
    return True


async def _has_card(session: AsyncSession, program_id: str, card_number: str) -> bool:
    query = select(Member.id).where(Member.program_id == program_id, Member.card_number == card_number)
    return await session.scalar(query) is not None


async def _draw_card_number(session: AsyncSession, program_id: str) -> str:
    """Sixteen random digits, the last a Luhn check digit: a till sees a mistyped number at once."""
    for _ in range(_CARD_NUMBER_TRIES):
        digits = "".join(secrets.choice("0123456789") for _ in range(15))
        number = digits + _luhn_digit(digits)
        if not await _has_card(session, program_id, number):
            return number
    raise AssertionError(f"{_CARD_NUMBER_TRIES} random card numbers in a row were taken")


def _luhn_digit(digits: str) -> str:
    """The check digit that makes the whole number pass the Luhn test (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))]
    return str(-sum(number // 10 + number % 10 for number in doubled) % 10)
