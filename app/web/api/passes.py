"""Passes: issue, take out of use, send again, and the story of each."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, AwareDatetime, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enrolment.submit import link_text
from app.i18n import choose_language
from app.members import messages, people
from app.members.models import Member, Message, Program
from app.passes import devices, issue, story
from app.passes.models import Pass, Registration, Update
from app.passes.versions import APPLE
from app.web.api import paging
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import PassesRead, PassesWrite
from app.web.api.messages import MessageOut
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInBody, IdInPath, Page, Reason, Taken, Time, Word, storable
from app.web.dependencies import FromServices, Now, Reading, Transaction
from app.web.errors import Problem
from app.wiring import Services

router = APIRouter(tags=["passes"])

State = Literal["active", "voided", "expired"]


class NewPass(Taken):
    """A pass for a member."""

    member_id: IdInBody = Field(examples=["mem_01k9xv3m8qf7w2c5r1t0abcdex"])
    template: Word | None = Field(None, description="Default: the programme's", examples=["coffee"])
    expires_at: AwareDatetime | None = Field(None, description="When it ends: a coupon's last moment")


class Because(Taken):
    """Why, in words: stands in the pass's story."""

    reason: Reason = Field("", examples=["Phone lost"])


class NewLink(Taken):
    """A new secret link to a pass."""

    send: bool = Field(False, strict=True, description="Send it to the member's phone by SMS")


class PassOut(Given):
    """A pass issued to a member, whichever phones hold it."""

    id: str = Field(examples=["pas_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["pass"] = "pass"
    member_id: str = Field(examples=["mem_01k9xv3m8qf7w2c5r1t0abcdex"])
    serial_number: str
    template: str = Field(examples=["coffee"])
    state: State
    version: int = Field(description="Rises with every change that shows", examples=[17])
    message: str = Field(description="The newest news on the back")
    changed_at: Time
    expires_at: Time | None
    created_at: Time

    @classmethod
    def of(cls, issued: Pass) -> "PassOut":
        return cls(
            id=issued.id,
            member_id=issued.member_id,
            serial_number=issued.serial_number,
            template=issued.template,
            state=cast(State, issued.state),
            version=issued.version,
            message=issued.message,
            changed_at=datetime.fromtimestamp(issued.last_modified, UTC),
            expires_at=issued.expires_at,
            created_at=issued.created_at,
        )


class LinkOut(Given):
    """A secret link. Nobody can be shown it a second time."""

    object: Literal["link"] = "link"
    pass_id: str
    url: str = Field(examples=["https://cards.example.com/p/3q2-7wEjRk2mVbQd0fLx9A"])
    message: MessageOut | None = Field(description="The SMS that carries it, where `send` asked for one")


class EventOut(Given):
    """One line of a pass's story."""

    kind: str = Field(examples=["push_accepted"])
    version: int | None
    details: dict[str, Any]
    at: Time


class FindingOut(Given):
    """One thing the evidence says."""

    code: str = Field(examples=["accepted_never_asked"])
    text: str


class TraceOut(Given):
    """The story of a pass, and what it says about a silent phone."""

    object: Literal["trace"] = "trace"
    pass_id: str
    diagnosis: list[FindingOut]
    events: list[EventOut] = Field(description="Oldest first, at most the newest 200")


class DeviceOut(Given):
    """A device that holds a pass. Its identifier is cut: who knows it whole may list its passes."""

    object: Literal["device"] = "device"
    device: str = Field(examples=["3f9a1c20"])
    push_service: Literal["apns", "walletpasses", "pass2u"]
    pushed_version: int = Field(description="The newest version it was told of")
    registered_at: Time
    seen_at: Time


@router.post("/passes", status_code=201, summary="Issue a pass", responses={201: {"model": PassOut}})
async def issue_pass(
    wanted: NewPass, caller: PassesWrite, services: FromServices, once: OnlyOnce, now: Now
) -> Response:
    """Issue a pass to a member. It is on no phone yet: make a link for it."""

    async def work(session: AsyncSession) -> PassOut:
        member = await people.member_by_id(session, caller.program_id, wanted.member_id)
        program = await session.get_one(Program, caller.program_id)
        template = wanted.template or program.template
        if template not in services.templates:
            there_are = ", ".join(sorted(services.templates))
            detail = f"there is no pass template {template}: there are {there_are}"
            raise Problem(422, "unknown_template", detail, pointer="/body/template")
        if wanted.expires_at is not None and wanted.expires_at <= now:
            raise Problem(422, "invalid_request", "must be a time to come", pointer="/body/expires_at")
        issued = await issue.issue(
            session,
            member,
            template=template,
            wallets=services.wallets(program.country),
            expires_at=wanted.expires_at,
            now=now,
        )
        return PassOut.of(issued)

    return await once.answer(caller, wanted, work, now=now)


@router.get("/passes", summary="List passes, or those of a member")
async def list_passes(
    caller: PassesRead,
    session: Reading,
    member_id: Annotated[str | None, Query(max_length=64), AfterValidator(storable)] = None,
    serial_number: Annotated[str | None, Query(max_length=64), AfterValidator(storable)] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[PassOut]:
    query = select(Pass).where(Pass.program_id == caller.program_id)
    if member_id is not None:
        query = query.where(Pass.member_id == member_id)
    if serial_number is not None:
        query = query.where(Pass.serial_number == serial_number)
    page = await paging.page(session, query, Pass.id, limit=limit, cursor=cursor)
    return page.of([PassOut.of(row) for row in page.rows])


@router.get("/passes/{pass_id}", summary="One pass")
async def get_pass(pass_id: IdInPath, caller: PassesRead, session: Reading) -> PassOut:
    return PassOut.of(await issue.by_id(session, caller.program_id, pass_id))


@router.post("/passes/{pass_id}/void", summary="Take a pass out of use")
async def void_pass(
    pass_id: IdInPath, caller: PassesWrite, session: Transaction, now: Now, wanted: Because | None = None
) -> PassOut:
    """Void a pass: it turns grey on its phones. Nobody can delete it from there. May be repeated."""
    reason = wanted.reason if wanted else ""
    return PassOut.of(
        await issue.set_state(session, caller.program_id, pass_id, "voided", reason=reason, now=now)
    )


@router.post("/passes/{pass_id}/restore", summary="Put a voided pass back in use")
async def restore_pass(
    pass_id: IdInPath, caller: PassesWrite, session: Transaction, now: Now, wanted: Because | None = None
) -> PassOut:
    """Undo a void. May be repeated."""
    reason = wanted.reason if wanted else ""
    return PassOut.of(
        await issue.set_state(session, caller.program_id, pass_id, "active", reason=reason, now=now)
    )


@router.post(
    "/passes/{pass_id}/reissue",
    status_code=201,
    summary="Replace a pass by another with new secrets",
    responses={201: {"model": PassOut}},
)
async def reissue_pass(
    pass_id: IdInPath, caller: PassesWrite, once: OnlyOnce, now: Now, wanted: Because | None = None
) -> Response:
    """Void a pass, revoke its links and issue another: a lost phone, a leaked link."""
    because = wanted or Because(reason="")

    async def work(session: AsyncSession) -> PassOut:
        return PassOut.of(
            await issue.reissue(session, caller.program_id, pass_id, reason=because.reason, now=now)
        )

    return await once.answer(caller, because, work, now=now)


@router.post(
    "/passes/{pass_id}/link",
    status_code=201,
    summary="Make a new link to a pass, and send it",
    responses={201: {"model": LinkOut}},
)
async def make_link(
    pass_id: IdInPath,
    caller: PassesWrite,
    services: FromServices,
    once: OnlyOnce,
    now: Now,
    wanted: NewLink | None = None,
) -> Response:
    """A new secret address from which the pass is added to a phone; with `send` it goes out by SMS."""
    asked = wanted or NewLink(send=False)

    async def work(session: AsyncSession) -> LinkOut:
        issued = await issue.by_id(session, caller.program_id, pass_id)
        url = f"{services.settings.link_url}/p/{await issue.make_link(session, issued, now=now)}"
        message = await _send(session, services, issued, url, now) if asked.send else None
        return LinkOut(pass_id=pass_id, url=url, message=None if message is None else MessageOut.of(message))

    return await once.answer(caller, asked, work, now=now)


async def send_link(session: AsyncSession, services: Services, issued: Pass, *, now: datetime) -> Message:
    """A new link to a pass, by SMS to its member. Raises Problem where there is no phone."""
    url = f"{services.settings.link_url}/p/{await issue.make_link(session, issued, now=now)}"
    return await _send(session, services, issued, url, now)


async def _send(session: AsyncSession, services: Services, issued: Pass, url: str, now: datetime) -> Message:
    member = await session.get_one(Member, issued.member_id)
    program = await session.get_one(Program, issued.program_id)
    if member.phone is None:
        raise Problem(
            409, "no_phone", f"member {member.id} has no phone: set one, or pass the link on yourself"
        )
    return await messages.queue_message(
        session,
        program_id=program.id,
        member_id=member.id,
        channel="sms",
        purpose="pass_link",
        recipient=member.phone,
        text=link_text(program.name, url, services.texts, choose_language(member.language, None)),
        now=now,
    )


@router.get("/passes/{pass_id}/trace", summary="The story of a pass: why is the phone silent?")
async def get_trace(
    pass_id: IdInPath, caller: PassesRead, services: FromServices, session: Reading, now: Now
) -> TraceOut:
    """Everything that happened to a pass, and what the evidence says about a phone that stays silent."""
    told = await story.tell(session, services.templates, caller.program_id, pass_id, now=now)
    return TraceOut(
        pass_id=pass_id,
        diagnosis=[FindingOut(code=finding.code, text=finding.text) for finding in told.findings],
        events=[
            EventOut(kind=event.kind, version=event.version, details=event.details, at=event.at)
            for event in told.events
        ],
    )


@router.get("/passes/{pass_id}/devices", summary="The devices that hold a pass")
async def list_devices(pass_id: IdInPath, caller: PassesRead, session: Reading) -> Page[DeviceOut]:
    issued = await issue.by_id(session, caller.program_id, pass_id)
    query = (
        select(Registration).where(Registration.pass_id == issued.id).order_by(Registration.seen_at.desc())
    )
    rows = (await session.scalars(query)).all()
    all_told = await session.scalar(
        select(Update.sent_version).where(Update.pass_id == issued.id, Update.wallet == APPLE)
    )
    return Page(
        data=[
            DeviceOut(
                device=devices.short(row.device_library_identifier),
                push_service=cast("Literal['apns', 'walletpasses', 'pass2u']", row.push_service),
                pushed_version=max(row.pushed_version, all_told or 0),
                registered_at=row.registered_at,
                seen_at=row.seen_at,
            )
            for row in rows
        ],
        has_more=False,
        next_cursor=None,
    )
