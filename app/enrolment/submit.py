"""A form was filled in: the person becomes a member with a pass, or is known and gets the link again.

Everything happens in the caller's transaction, and what leaves the house is a row: the SMS, the e-mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked, new_id
from app.enrolment.forms import Filled, Given
from app.enrolment.models import Form, Submission
from app.i18n import Texts
from app.members import messages, people
from app.members.models import Account, Consent, Member, Notice, Program
from app.passes import issue
from app.passes.models import Pass
from app.points import ledger

ONE_SEGMENT = 70  # UTF-16 units of an SMS in Cyrillic before it costs twice


@dataclass(frozen=True)
class Origin:
    """Where a form came from: kept as evidence and for the marketer's sums."""

    network: str  # the /24 or /64
    source_tag: str  # ?src= of the link or poster


@dataclass(frozen=True)
class Enrolled:
    member: Member
    issued: Pass
    is_new: bool


async def submit(
    session: AsyncSession,
    program: Program,
    form: Form,
    filled: Filled,
    origin: Origin,
    *,
    link_url: str,
    texts: Texts,
    now: datetime,
) -> Enrolled:
    """Enrol the person and send the link to their pass. The same name on the same phone is the same person.

    Another name on a known phone is another member of its account: a mother and her child share one balance.
    """
    found, _ = await people.find_or_create_account(session, program, filled.phone, now)
    account = await locked(session, select(Account).where(Account.id == found.id))
    member = await _known(session, account, filled.name)
    is_new = member is None
    if member is None:
        member = await _enrol(session, program, form, account, filled, now=now)
    issued = await _pass_of(session, program, member, now=now)

    _keep_consents(session, member, filled.consents, filled.language, origin, now=now)
    session.add(
        Submission(
            id=new_id("sub"),
            program_id=program.id,
            form_id=form.id,
            member_id=member.id,
            outcome="enrolled" if is_new else "known",
            source_tag=origin.source_tag,
            answers=dict(filled.answers),
            at=now,
        )
    )
    token = await issue.make_link(session, issued, now=now)
    await messages.queue_message(
        session,
        program_id=program.id,
        member_id=member.id,
        channel="sms",
        purpose="pass_link",
        recipient=filled.phone,
        text=link_text(program.name, f"{link_url}/p/{token}", texts, filled.language),
        now=now,
    )
    if is_new:
        await tell_manager(session, program, member, texts, now=now)
    return Enrolled(member, issued, is_new)


def link_text(program_name: str, link: str, texts: Texts, language: str) -> str:
    """The SMS with the link: the longest wording that fits one Cyrillic segment, or just the link."""
    wordings = (
        texts.get(language, "sms.link_named", program=program_name, link=link),
        texts.get(language, "sms.link", link=link),
    )
    fitting = (wording for wording in wordings if len(wording.encode("utf-16-le")) // 2 <= ONE_SEGMENT)
    return next(fitting, link)


async def tell_manager(
    session: AsyncSession, program: Program, member: Member, texts: Texts, *, now: datetime
) -> None:
    """A notice of the new member, and an e-mail where the programme names its manager."""
    details: Mapping[str, str] = {"name": member.name, "card_number": member.card_number}
    session.add(
        Notice(
            id=new_id("ntc"),
            program_id=program.id,
            kind="member.enrolled",
            member_id=member.id,
            details=dict(details),
            created_at=now,
        )
    )
    if program.manager_email:
        await messages.queue_message(
            session,
            program_id=program.id,
            member_id=member.id,
            channel="email",
            purpose="new_member",
            recipient=program.manager_email,
            subject=texts.get(program.language, "email.new_member_subject", program=program.name),
            text=texts.get(program.language, "email.new_member", program=program.name, **details),
            now=now,
        )


async def _known(session: AsyncSession, account: Account, name: str) -> Member | None:
    members = await session.scalars(select(Member).where(Member.account_id == account.id).order_by(Member.id))
    return next((member for member in members if _same(member.name, name)), None)


def _same(one: str, other: str) -> bool:
    """Whether two spellings are one name: case, spaces and the Russian ё aside."""
    return one.casefold().replace("ё", "е").split() == other.casefold().replace("ё", "е").split()


async def _enrol(
    session: AsyncSession, program: Program, form: Form, account: Account, filled: Filled, *, now: datetime
) -> Member:
    member = await people.add_member(
        session,
        program,
        account,
        name=filled.name,
        phone=filled.phone,
        email=None,
        birthday=filled.birthday,
        language=filled.language,
        answers=filled.answers,
        now=now,
    )
    # Once per account, not per member: otherwise every invented child would bring the gift again.
    if form.opening_points and account.sequence == 0:
        await ledger.open_balance(
            session,
            account.id,
            form.opening_points,
            reason=form.slug,
            source="form",
            source_event=f"opening:{account.id}",
            program_id=program.id,
            now=now,
        )
    return member


async def _pass_of(session: AsyncSession, program: Program, member: Member, *, now: datetime) -> Pass:
    """The member's active pass, or a new one."""
    query = (
        select(Pass)
        .where(Pass.member_id == member.id, Pass.state == "active")
        .order_by(Pass.id.desc())
        .limit(1)
    )
    found = await session.scalar(query)
    return found or await issue.issue(session, member, template=program.template, now=now)


def _keep_consents(
    session: AsyncSession,
    member: Member,
    consents: tuple[Given, ...],
    language: str,
    origin: Origin,
    *,
    now: datetime,
) -> None:
    for each in consents:
        session.add(
            Consent(
                id=new_id("con"),
                program_id=member.program_id,
                member_id=member.id,
                kind=each.consent.kind,
                version=each.consent.version,
                language=language,
                text=each.text,
                given=each.given,
                at=now,
                ip_network=origin.network,
            )
        )
