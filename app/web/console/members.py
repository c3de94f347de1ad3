"""Members: found by phone, card number or name; one page each with all that happened."""

import secrets
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.delivery import PURPOSE as OF_A_CAMPAIGN
from app.campaigns.models import Campaign, Recipient
from app.members import people
from app.members.models import Account, Consent, Member, MemberNote, Message, Program, Tier
from app.passes import story
from app.passes.models import Pass
from app.points.models import Entry
from app.staff.models import User
from app.staff.roles import Permission, may
from app.web.api.values import IdInPath
from app.web.console.pages import console_page, the_program
from app.web.console.route import ConsoleRoute, needs, who_is
from app.web.dependencies import FromServices, Language, Now, Reading
from app.web.rendering import PageNotFound
from app.wiring import Services

router = APIRouter(prefix="/console/members", route_class=ConsoleRoute)

FOUND_MAX = 50
ENTRIES_MAX = 100
QUERY_MAX = 100
TOLD_MAX = 30  # of each: campaigns, messages, consents, notes


@router.get("")
@needs(Permission.MEMBERS_READ)
async def search(
    request: Request,
    session: Reading,
    language: Language,
    q: Annotated[str, Query(max_length=QUERY_MAX)] = "",
) -> Response:
    """Who is meant; without a question the newest."""
    program = await the_program(request, session)
    found = [] if program is None else await _find(session, program, q.strip().replace("\0", ""))
    return console_page(
        request,
        "members.html",
        language=language,
        program=program,
        q=q,
        found=found[:FOUND_MAX],
        has_more=len(found) > FOUND_MAX,
    )


async def _find(session: AsyncSession, program: Program, asked: str) -> list[tuple[Member, int]]:
    query = (
        select(Member, Account.balance)
        .join(Account, Account.id == Member.account_id)
        .where(Member.program_id == program.id)
        .order_by(Member.id.desc())
        .limit(FOUND_MAX + 1)
    )
    if asked:
        said = [Member.card_number == asked, Member.name.istartswith(asked, autoescape=True)]
        with suppress(people.InvalidPhone):  # it is a name or a card number, then
            said.append(Member.phone == people.parse_phone(asked, program.country))
        query = query.where(or_(*said))
    return [(row[0], row[1]) for row in await session.execute(query)]


@router.get("/{member_id}")
@needs(Permission.MEMBERS_READ)
async def one(
    request: Request,
    member_id: IdInPath,
    services: FromServices,
    session: Reading,
    language: Language,
    now: Now,
) -> Response:
    """A member: account, passes with their stories, and every entry with its reason."""
    program, member = await find(request, session, member_id)
    return await member_page(request, session, services, language, program, member, now=now)


async def find(request: Request, session: AsyncSession, member_id: str) -> tuple[Program, Member]:
    """A member of the programme that is shown. Raises PageNotFound."""
    program = await the_program(request, session)
    member = await session.get(Member, member_id)
    if program is None or member is None or member.program_id != program.id:
        raise PageNotFound
    return program, member


async def member_page(
    request: Request,
    session: AsyncSession,
    services: Services,
    language: str,
    program: Program,
    member: Member,
    *,
    now: datetime,
    status: int = 200,
    problem: str = "",
) -> Response:
    """The page of a member; `problem` is the key of what stood in the way of the form just sent."""
    account = await session.get_one(Account, member.account_id, populate_existing=True)
    passes = (await session.scalars(select(Pass).where(Pass.member_id == member.id).order_by(Pass.id))).all()
    entries = await session.scalars(
        select(Entry).where(Entry.account_id == account.id).order_by(Entry.sequence.desc()).limit(ENTRIES_MAX)
    )
    shown = entries.all()
    return console_page(
        request,
        "member.html",
        language=language,
        time_zone=program.time_zone,
        status=status,
        program=program,
        member=member,
        account=account,
        tier=await session.get(Tier, account.tier_id) if account.tier_id else None,
        entries=shown,
        reversed_ids={each.reverses_id for each in shown if each.reverses_id},
        stories=[
            (each, await story.tell(session, services.templates, program.id, each.id, now=now))
            for each in passes
        ],
        **await _told(session, member),
        problem=problem,
        new_number=partial(secrets.token_hex, 16),
        may_points=may(who_is(request).role, Permission.MEMBERS_POINTS),
        may_block=may(who_is(request).role, Permission.MEMBERS_BLOCK),
        may_send=may(who_is(request).role, Permission.PASSES_SEND),
        may_note=may(who_is(request).role, Permission.MEMBERS_NOTES),
    )


async def _told(session: AsyncSession, member: Member) -> dict[str, Any]:
    """What was said to a member, by them, and about them; the newest of each.

    Of a message only a campaign's words are shown: others carry a secret link, or an address of ours.
    """
    campaigns = (
        select(Campaign.name, Recipient.route, Recipient.state, Recipient.reason, Recipient.done_at)
        .join(Campaign, Campaign.id == Recipient.campaign_id)
        .where(Recipient.member_id == member.id, Recipient.state.in_(("done", "skipped")))
        .order_by(Campaign.id.desc())
    )
    messages = select(Message).where(Message.member_id == member.id).order_by(Message.id.desc())
    consents = select(Consent).where(Consent.member_id == member.id).order_by(Consent.id.desc())
    notes = (
        select(MemberNote.text, MemberNote.at, User.name, User.email)
        .join(User, User.id == MemberNote.user_id)
        .where(MemberNote.member_id == member.id)
        .order_by(MemberNote.id.desc())
    )
    return {
        "campaigns": (await session.execute(campaigns.limit(TOLD_MAX))).all(),
        "messages": [
            (each, each.text if each.purpose == OF_A_CAMPAIGN else "")
            for each in await session.scalars(messages.limit(TOLD_MAX))
        ],
        "consents": (await session.scalars(consents.limit(TOLD_MAX))).all(),
        "notes": (await session.execute(notes.limit(TOLD_MAX))).all(),
    }
