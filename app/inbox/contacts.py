"""People as a source knows them: joining, and their data following the source's."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import CardWanted, ContactChanged, Person
from app.enrolment import submit
from app.enrolment.forms import clean
from app.enrolment.limits import TooMany, take_unseen
from app.i18n import LANGUAGES, Texts
from app.inbox import persons, reading
from app.inbox.models import Source
from app.inbox.reasons import CannotApply
from app.members import people
from app.members.models import Member, Program
from app.passes import holders
from app.points import sharing

NAME_MAX, EMAIL_MAX, ANSWERS_MAX = 128, 254, 50


async def give_card(
    session: AsyncSession,
    program: Program,
    source: Source,
    event: CardWanted,
    *,
    texts: Texts,
    link_url: str,
    sms_per_day: int,
    secret_key: bytes,
    wallets: Collection[str],
    now: datetime,
) -> str:
    """Make a contact a member with a pass; the member's id.

    A contact that is a member already gets nothing new, and no second SMS: a form's submission comes as a
    lead, a deal and a contact. Raises CannotApply.
    """
    person = event.person
    known = await persons.linked(session, source, person)
    if known is None and not person.phone:
        raise CannotApply("no_phone", who=person.contact or person.name or "")
    phone = known.phone if known and known.phone else persons.phone_of(program, person)
    name = _clean(person.name, NAME_MAX) or (known.name if known else None)
    if name is None:
        raise CannotApply("no_name", phone=phone)
    joining = submit.Joining(
        name,
        phone,
        _language(person, program),
        email=_clean(person.email, EMAIL_MAX),
        birthday=reading.day(person.birthday),
        answers=_answers(person),
        opening_points=reading.points(event.opening_points),
        opened_by=(source.key, source.name),
    )
    if joining.opening_points < 0:
        raise CannotApply("bad_points", points=event.opening_points)
    beside = await persons.linked(session, source, Person(contact=person.family))
    enrolled = await submit.join(
        session, program, joining, known=known, beside=beside, texts=texts, wallets=wallets, now=now
    )
    await persons.link(session, source, enrolled.member, person)
    if event.sends_link and enrolled.is_new:
        try:
            await take_unseen(session, program.id, secret_key, phone=phone, per_day=sms_per_day, now=now)
        except TooMany as error:
            raise CannotApply("too_many", limit=error.limit.name) from error
        await submit.send_link(
            session, program, enrolled, phone, joining.language, link_url=link_url, texts=texts, now=now
        )
    return enrolled.member.id


async def follow(
    session: AsyncSession, program: Program, source: Source, event: ContactChanged, *, now: datetime
) -> str | None:
    """Bring a member's data to what the source says; the member's id, None for somebody who is no member.

    Raises CannotApply, and PhoneTaken where the new phone is another account's.
    """
    person = event.person
    member = await persons.linked(session, source, person)
    if member is None:
        if not person.phone:
            return None
        _, members = await persons.on_phone(session, program, persons.phone_of(program, person))
        member = persons.who_of(members, person)
        if member is None:
            return None
        await persons.link(session, source, member, person)
    mine = await people.member_to_change(session, program.id, member.id)
    await _follow_family(session, source, mine, person, now=now)
    changed = await people.update_member(session, mine, _changes(person, program))
    if changed:
        because = {"member": ", ".join(sorted(changed)), "source": source.key}
        await holders.mark_member_changed(session, mine, because=because, now=now)
    return mine.id


async def _follow_family(
    session: AsyncSession, source: Source, member: Member, person: Person, *, now: datetime
) -> None:
    """Contacts that a field of the source links share one account, whatever their phones."""
    head = await persons.linked(session, source, Person(contact=person.family))
    if head is not None and head.account_id != member.account_id:
        await sharing.move_to(
            session, member.program_id, member.id, head.account_id, reason=source.name, now=now
        )


def _changes(person: Person, program: Program) -> dict[str, Any]:
    """What to set: what the source leaves empty stays as it is."""
    said: Mapping[str, Any] = {
        "name": _clean(person.name, NAME_MAX),
        "phone": persons.phone_of(program, person) if person.phone else None,
        "email": _clean(person.email, EMAIL_MAX),
        "birthday": reading.day(person.birthday),
    }
    return {field: value for field, value in said.items() if value is not None}


def _clean(text: str | None, length_max: int) -> str | None:
    return clean(text)[:length_max] or None if text else None


def _language(person: Person, program: Program) -> str:
    wanted = (person.language or "")[:2].lower()
    return wanted if wanted in LANGUAGES else program.language


def _answers(person: Person) -> dict[str, str]:
    return {key: clean(text)[:500] for key, text in list(person.answers.items())[:ANSWERS_MAX]}
