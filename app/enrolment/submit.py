"""A form was filled in: the person becomes a member with a pass, or is known and gets the link again.

Everything happens in the caller's transaction, and what leaves the house is a row: the SMS, the e-mail.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

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
from app.passes.versions import APPLE
from app.points import ledger

ONE_SEGMENT = 70  # UTF-16 units of an SMS in Cyrillic before it costs twice


@dataclass(frozen=True)
class Origin:
    """Where a form came from: kept as evidence and for the marketer's sums."""

    network: str  # the /24 or /64
    source_tag: str  # ?src= of the link or poster


@dataclass(frozen=True)
class Joining:
    """A person who joins, whichever way they came."""

    name: str
    phone: str  # E.164
    language: str
    email: str | None = None
    birthday: date | None = None
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    opening_points: int = 0  # of an account that has no entry yet
    opened_by: tuple[str, str] = ("form", "")  # the ledger's source, and the reason


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
    wallets: Collection[str] = (APPLE,),
) -> Enrolled:
    """Enrol the person and send the link to their pass. The same name on the same phone is the same person.

    Another name on a known phone is another member of its account: a mother and her child share one balance.
    """
    joining = Joining(
        filled.name,
        filled.phone,
        filled.language,
        birthday=filled.birthday,
        answers=filled.answers,
        opening_points=form.opening_points,
        opened_by=("form", form.slug),
    )
    enrolled = await join(session, program, joining, texts=texts, wallets=wallets, now=now)
    _keep_consents(session, enrolled.member, filled.consents, filled.language, origin, now=now)
    session.add(
        Submission(
            id=new_id("sub"),
            program_id=program.id,
            form_id=form.id,
            member_id=enrolled.member.id,
            outcome="enrolled" if enrolled.is_new else "known",
            source_tag=origin.source_tag,
            answers=dict(filled.answers),
            at=now,
        )
    )
    await send_link(
        session, program, enrolled, filled.phone, filled.language, link_url=link_url, texts=texts, now=now
    )
    return enrolled


async def join(
    session: AsyncSession,
    program: Program,
    joining: Joining,
    *,
    known: Member | None = None,
    beside: Member | None = None,
    texts: Texts,
    now: datetime,
    wallets: Collection[str] = (APPLE,),
) -> Enrolled:
    """Make the person a member with a pass, unless they are one: `known`, or of that name on that phone.

    They share the account of `beside`, where somebody is named, whatever their phone.

    The manager is told of a new member.
    """
    if known is not None:
        return Enrolled(
            known, await _pass_of(session, program, known, wallets=wallets, now=now), is_new=False
        )
    account_id = beside.account_id if beside else None
    if account_id is None:
        found, _ = await people.find_or_create_account(session, program, joining.phone, now)
        account_id = found.id
    account = await locked(session, select(Account).where(Account.id == account_id))
    member = await _known(session, program, account, joining)
    is_new = member is None
    if member is None:
        if beside is None:
            account = await people.account_beside(session, program, account, now)
        member = await _enrol(session, program, account, joining, now=now)
    issued = await _pass_of(session, program, member, wallets=wallets, now=now)
    if is_new:
        await tell_manager(session, program, member, texts, now=now)
    return Enrolled(member, issued, is_new)


async def send_link(
    session: AsyncSession,
    program: Program,
    enrolled: Enrolled,
    phone: str,
    language: str,
    *,
    link_url: str,
    texts: Texts,
    now: datetime,
) -> None:
    """Queue the SMS with a fresh link to the pass."""
    token = await issue.make_link(session, enrolled.issued, now=now)
    await messages.queue_message(
        session,
        program_id=program.id,
        member_id=enrolled.member.id,
        channel="sms",
        purpose="pass_link",
        recipient=phone,
        text=link_text(program.name, f"{link_url}/p/{token}", texts, language),
        now=now,
    )


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


async def _known(
    session: AsyncSession, program: Program, account: Account, joining: Joining
) -> Member | None:
    """Who of the account, or where each member has one of the phone, has this name."""
    is_theirs = Member.account_id == account.id
    if program.balances == "mirrored":
        is_theirs |= (Member.program_id == program.id) & (Member.phone == joining.phone)
    members = await session.scalars(select(Member).where(is_theirs).order_by(Member.id))
    return next((member for member in members if people.is_same_name(member.name, joining.name)), None)


async def _enrol(
    session: AsyncSession, program: Program, account: Account, joining: Joining, *, now: datetime
) -> Member:
    member = await people.add_member(
        session,
        program,
        account,
        name=joining.name,
        phone=joining.phone,
        email=joining.email,
        birthday=joining.birthday,
        language=joining.language,
        answers=joining.answers,
        now=now,
    )
    # Once per account, not per member: otherwise every invented child would bring the gift again.
    if joining.opening_points and account.sequence == 0:
        source, reason = joining.opened_by
        await ledger.open_balance(
            session,
            account.id,
            joining.opening_points,
            reason=reason,
            source=source,
            source_event=f"opening:{account.id}",
            program_id=program.id,
            now=now,
        )
    return member


async def _pass_of(
    session: AsyncSession, program: Program, member: Member, *, wallets: Collection[str], now: datetime
) -> Pass:
    """The member's active pass, or a new one."""
    query = (
        select(Pass)
        .where(Pass.member_id == member.id, Pass.state == "active")
        .order_by(Pass.id.desc())
        .limit(1)
    )
    found = await session.scalar(query)
    return found or await issue.issue(session, member, template=program.template, wallets=wallets, now=now)


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
