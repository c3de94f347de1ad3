"""What the console does to a member: points by hand, a reversal, a block, a new card. All is logged.

Each form carries a number of its own, which is the movement's event: sent twice, it moves points once.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from app.db import new_id
from app.members.models import Member, MemberNote, Program
from app.passes import holders, issue
from app.passes.models import Pass
from app.points import ledger
from app.points.models import Entry
from app.points.refusals import (
    AlreadyReversed,
    CannotReverse,
    MemberBlocked,
    NotEnoughPoints,
    PointsOutOfRange,
    SourceEventReused,
)
from app.staff import audit
from app.staff.roles import Permission
from app.staff.sessions import SignedIn
from app.web.api.passes import send_link
from app.web.api.values import IdInPath
from app.web.console.members import find, member_page
from app.web.console.route import PATH, ConsoleRoute, needs, who_is
from app.web.console.sign_in import FIELDS_MAX
from app.web.dependencies import FromServices, Language, Now, Transaction
from app.web.rendering import PageNotFound

router = APIRouter(prefix="/console/members", route_class=ConsoleRoute)

REASON_MAX = 256
NOTE_MAX = 1000
_NUMBER = re.compile(r"[0-9a-f]{32}")
_POINTS = re.compile(r"[0-9]{1,9}")
_KINDS: dict[str, tuple[Literal["earn", "redeem", "adjust"], int]] = {
    "earn": ("earn", 1),
    "redeem": ("redeem", 1),
    "add": ("adjust", 1),
    "take": ("adjust", -1),
}

# What stands in the way, as the key of its text.
_PROBLEMS: dict[type[Exception], str] = {
    NotEnoughPoints: "not_enough",
    PointsOutOfRange: "out_of_range",
    MemberBlocked: "is_blocked",
    AlreadyReversed: "reversed_already",
    CannotReverse: "cannot_reverse",
    SourceEventReused: "sent_already",
}


class _Refused(Exception):
    """The form cannot be carried out; the key of the text that says why."""


@router.post("/{member_id}/points")
@needs(Permission.MEMBERS_POINTS)
async def move_points(
    request: Request,
    member_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """Earn, spend or correct by hand, with a reason."""

    async def work(program: Program, member: Member, form: FormData, who: SignedIn) -> None:
        what, points = str(form.get("what", "")), str(form.get("points", "")).strip()
        if what not in _KINDS or not _POINTS.fullmatch(points) or not int(points):
            raise _Refused("points_wrong")
        kind, sign = _KINDS[what]
        said = _said(form, who, program)
        move = {"earn": ledger.earn, "redeem": ledger.redeem, "adjust": ledger.adjust}[kind]
        posted = await move(
            session, member.account_id, sign * int(points), member_id=member.id, now=now, **said
        )
        if not posted.repeated:
            after = {"points": posted.entry.points, "reason": said["reason"], "entry_id": posted.entry.id}
            await audit.record(session, who.actor, f"points.{kind}", member.id, after=after, now=now)

    return await _done(request, member_id, session, services, language, now, work)


@router.post("/{member_id}/entries/{entry_id}/reverse")
@needs(Permission.MEMBERS_POINTS)
async def reverse(
    request: Request,
    member_id: IdInPath,
    entry_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """Undo an entry of the member's account."""

    async def work(program: Program, member: Member, form: FormData, who: SignedIn) -> None:
        entry = await session.get(Entry, entry_id)
        if entry is None or entry.account_id != member.account_id:
            raise PageNotFound
        posted = await ledger.reverse(session, entry_id, now=now, **_said(form, who, program))
        if not posted.repeated:
            after = {"points": posted.entry.points, "entry_id": entry_id}
            await audit.record(session, who.actor, "points.reverse", member.id, after=after, now=now)

    return await _done(request, member_id, session, services, language, now, work)


@router.post("/{member_id}/state")
@needs(Permission.MEMBERS_BLOCK)
async def set_state(
    request: Request,
    member_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """Block a member, or let them back; their passes show it."""

    async def work(program: Program, member: Member, form: FormData, who: SignedIn) -> None:
        wanted = "blocked" if form.get("state") == "blocked" else "active"
        before = member.state
        await holders.set_member_state(session, program.id, member.id, wanted, now=now)
        if before != wanted:
            action = "member.blocked" if wanted == "blocked" else "member.unblocked"
            await audit.record(
                session,
                who.actor,
                action,
                member.id,
                before={"state": before},
                after={"state": wanted},
                now=now,
            )

    return await _done(request, member_id, session, services, language, now, work)


@router.post("/{member_id}/notes")
@needs(Permission.MEMBERS_NOTES)
async def add_note(
    request: Request,
    member_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """Write something down about a member, for whoever looks next."""

    async def work(program: Program, member: Member, form: FormData, who: SignedIn) -> None:
        text = " ".join(str(form.get("text", "")).split())
        if not text or len(text) > NOTE_MAX or not text.isprintable():
            raise _Refused("note_missing")
        note = MemberNote(id=new_id("nte"), program_id=program.id, member_id=member.id, at=now)
        note.user_id, note.text = who.user_id, text
        session.add(note)
        await audit.record(session, who.actor, "note.added", member.id, after={"note_id": note.id}, now=now)

    return await _done(request, member_id, session, services, language, now, work)


@router.post("/{member_id}/passes/{pass_id}/link")
@needs(Permission.PASSES_SEND)
async def send(
    request: Request,
    member_id: IdInPath,
    pass_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """Send the member a new link to the pass by SMS."""

    async def work(program: Program, member: Member, form: FormData, who: SignedIn) -> None:
        held = await _pass(session, member, pass_id)
        if member.phone is None:
            raise _Refused("no_phone")
        await send_link(session, services, held, now=now)
        await audit.record(
            session, who.actor, "pass.link_sent", member.id, after={"pass_id": held.id}, now=now
        )

    return await _done(request, member_id, session, services, language, now, work)


@router.post("/{member_id}/passes/{pass_id}/reissue")
@needs(Permission.PASSES_SEND)
async def reissue(
    request: Request,
    member_id: IdInPath,
    pass_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """Replace the pass by another with new secrets, and send its link where there is a phone."""

    async def work(program: Program, member: Member, form: FormData, who: SignedIn) -> None:
        held = await _pass(session, member, pass_id)
        if held.state != "active":
            raise _Refused("not_active")
        made = await issue.reissue(session, program.id, held.id, reason="console", now=now)
        if member.phone is not None:
            await send_link(session, services, made, now=now)
        change = {"before": {"pass_id": held.id}, "after": {"pass_id": made.id}}
        await audit.record(session, who.actor, "pass.reissued", member.id, **change, now=now)

    return await _done(request, member_id, session, services, language, now, work)


_Work = Callable[[Program, Member, FormData, SignedIn], Awaitable[None]]


async def _done(
    request: Request,
    member_id: str,
    session: AsyncSession,
    services: Any,
    language: str,
    now: Any,
    work: _Work,
) -> Response:
    """Carry a form out and go back to the member. What stands in the way is said there."""
    program, member = await find(request, session, member_id)
    form = await request.form(max_fields=FIELDS_MAX)
    problem = ""
    try:
        async with session.begin_nested():
            await work(program, member, form, who_is(request))
    except (_Refused, *_PROBLEMS) as refusal:
        problem = str(refusal) if isinstance(refusal, _Refused) else _PROBLEMS[type(refusal)]
    if not problem:
        return RedirectResponse(f"{PATH}/members/{member.id}", 303)
    return await member_page(
        request, session, services, language, program, member, now=now, status=422, problem=problem
    )


def _said(form: FormData, who: SignedIn, program: Program) -> dict[str, Any]:
    """Who moves points, and why. Raises _Refused."""
    reason, number = str(form.get("reason", "")).strip(), str(form.get("number", ""))
    if not reason or len(reason) > REASON_MAX or not reason.isprintable():
        raise _Refused("reason_missing")
    if not _NUMBER.fullmatch(number):
        raise _Refused("sent_already")
    return {
        "reason": reason,
        "source": f"console:{who.user_id}",
        "source_event": number,
        "program_id": program.id,
    }


async def _pass(session: AsyncSession, member: Member, pass_id: str) -> Pass:
    held = await session.get(Pass, pass_id)
    if held is None or held.member_id != member.id:
        raise PageNotFound
    return held
