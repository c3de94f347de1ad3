"""Passbell as the portal's SMS provider: a text goes onto the pass a phone holds, else out as an SMS.

A pass rings its phone like a message and costs nothing. The portal is told what became of each text: queued,
sent, delivered or failed.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.bitrix24 import commands
from app.crm.bitrix24.deliveries import TextWanted
from app.db import upsert
from app.deals.models import PortalText
from app.enrolment.limits import TooMany, take_unseen
from app.errors import TemporaryFailure
from app.inbox import persons
from app.inbox.handle import Received
from app.inbox.models import Source
from app.inbox.reasons import CannotApply
from app.job_queue import JsonScalar, Retry, enqueue, kinds
from app.jobs.bitrix24 import asking
from app.members import messages, people
from app.members.models import Member, Message
from app.passes import versions
from app.passes.models import Pass, Registration, Update
from app.wiring import Services

Status = Literal["queued", "sent", "delivered", "failed"]

# Asks every quarter of an hour at last; a text that nobody knows the end of after two days stays "sent".
RETRY = Retry(attempts_max=200, first_wait_seconds=5, longest_wait_seconds=900)
PATIENCE = timedelta(days=2)
TEXT_LENGTH_MAX = 512  # of a pass's message
_ENDS = ("delivered", "failed")
_OF_MESSAGE: dict[str, Status] = {
    "queued": "queued",
    "sending": "queued",
    "sent": "sent",
    "unknown": "sent",
    "delivered": "delivered",
    "failed": "failed",
}


async def deliver(services: Services, received: Received, wanted: TextWanted) -> None:
    """Put a text on its way, once however often the portal posts it. Raises CannotApply."""
    source, program, now = received.source, received.program, services.clock()
    try:
        phone = people.parse_phone(wanted.phone, program.country)
    except people.InvalidPhone as error:
        raise CannotApply("bad_phone", phone=wanted.phone) from error
    row = {
        "source_id": source.id,
        "text_id": wanted.message_id[:64],
        "program_id": program.id,
        "code": wanted.code[:64],
        "reported": "",
        "created_at": now,
    }
    async with services.sessions.begin() as session:
        statement = upsert(session, PortalText).values(row).on_conflict_do_nothing()
        if await session.scalar(statement.returning(PortalText.text_id)) is None:
            return
        _, members = await persons.on_phone(session, program, phone)
        ways = await _on_passes(session, members, program.id, wanted.text, source, services)
        if not ways:
            ways = await _as_sms(session, program.id, members, phone, wanted.text, services)
        text = await session.get_one(PortalText, (source.id, row["text_id"]))
        text.pass_id, text.version, text.message_id = ways
        args = {"source_id": source.id, "text_id": text.text_id}
        await enqueue(session, kinds.BITRIX24_REPORT_TEXT, args, priority=kinds.MESSAGE)


async def _on_passes(
    session: AsyncSession,
    members: list[Member],
    program_id: str,
    text: str,
    source: Source,
    services: Services,
) -> tuple[str | None, int | None, str | None] | None:
    """Write the text on every pass of the phone's members that a phone holds; the first of them."""
    query = (
        select(Pass)
        .join(Registration, Registration.pass_id == Pass.id)
        .where(Pass.member_id.in_([each.id for each in members]), Pass.state == "active")
        .order_by(Pass.id)
    )
    held = {each.id: each for each in await session.scalars(query)}
    if not held:
        return None
    await versions.mark_changed(
        session,
        program_id,
        list(held),
        because={"text": source.key},
        now=services.clock(),
        message=text[:TEXT_LENGTH_MAX],
    )
    first = next(iter(held.values()))
    await session.refresh(first)
    return first.id, first.version, None


async def _as_sms(
    session: AsyncSession, program_id: str, members: list[Member], phone: str, text: str, services: Services
) -> tuple[str | None, int | None, str | None]:
    """Send the text as an SMS, within what guards the programme's purse: a portal may be taken over."""
    per_day, now = services.settings.sms_spend_limit_per_day, services.clock()
    try:
        await take_unseen(session, program_id, services.secret_key, phone=phone, per_day=per_day, now=now)
    except TooMany as error:
        raise CannotApply("too_many", limit=error.limit.name) from error
    message = await messages.queue_message(
        session,
        program_id=program_id,
        member_id=members[0].id if members else None,
        channel="sms",
        purpose="crm_text",
        recipient=phone,
        text=text,
        now=now,
    )
    return None, None, message.id


async def report(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Tell the portal how far a text has come, until it has arrived or failed.

    Raises TemporaryFailure while there is more to come.
    """
    source_id, text_id = str(args["source_id"]), str(args["text_id"])
    async with services.sessions.begin() as session:
        source = await session.get_one(Source, source_id)
        text = await session.get_one(PortalText, (source_id, text_id))
        status = await _status(session, text)
    if status != text.reported:
        await asking.call(services, source, commands.text_status(text.code, text_id, status))
        async with services.sessions.begin() as session:
            (await session.get_one(PortalText, (source_id, text_id))).reported = status
    if status not in _ENDS and services.clock() - text.created_at < PATIENCE:
        raise TemporaryFailure(f"the text is {status}", retry_after_seconds=5.0)


async def _status(session: AsyncSession, text: PortalText) -> Status:
    if text.message_id is not None:
        message = await session.get_one(Message, text.message_id)
        return _OF_MESSAGE[message.state]
    query = select(Update.sent_version).where(Update.pass_id == text.pass_id)
    newest = max((await session.scalars(query)).all(), default=0)
    # Accepted by the push service: the phone was rung, which is what an SMS's "delivered" says too.
    return "delivered" if newest >= (text.version or 0) else "queued"
