"""Handing SMS and e-mails to their providers, each exactly once.

An SMS cannot be taken back: "sending" is committed before the provider is called. Whoever finds "sending"
later asks the provider what became of it, and never sends blindly again.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import metrics
from app.campaigns import bounces, letters, sending
from app.campaigns.delivery import PURPOSE
from app.channels.email import AddressRefused, Email
from app.channels.sms import CannotAsk, OutcomeUnknown, SendResult, Sms
from app.db import locked
from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import JsonScalar, Retry
from app.members import messages
from app.members.models import Member, Message, Program
from app.wiring import Services

log = structlog.get_logger(__name__)

# Waits double from 10 s up to 15 min; a link an hour late is still wanted, one a day late is not.
RETRY = Retry(attempts_max=12, first_wait_seconds=10, longest_wait_seconds=900)

# Longer than any call to a provider: after it, nobody else is still sending the same message.
PATIENCE_SECONDS = 60.0


async def send_message(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Send one queued message. Repeating is safe: a sent message stays sent."""
    message_id = str(args["message_id"])
    async with services.sessions.begin() as session:
        message = await locked(session, select(Message).where(Message.id == message_id))
        state_before = message.state
        if state_before == "queued" and (refusal := await sending.refusal(session, message)):
            message.state, message.error, state_before = "failed", refusal, "failed"
            _count(message.channel, "failed")
        if state_before == "queued":
            message.state = "sending"
            message.tried_at = services.clock()
            message.provider = services.sms.name if message.channel == "sms" else "smtp"
    if state_before == "queued":
        await _send(services, message)
    elif state_before == "sending":
        await _find_out(services, message)


async def give_up(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Nobody tries any more: what was never handed over has failed, and of the rest a person must judge."""
    message_id = str(args["message_id"])
    async with services.sessions.begin() as session:
        message = await locked(session, select(Message).where(Message.id == message_id))
        if message.state not in ("queued", "sending"):
            return
        message.state = "failed" if message.state == "queued" else "unknown"
        message.error = message.error or "given up: the provider could not be asked"
        channel, state = message.channel, message.state
        await messages.tell(session, message, now=services.clock())
    log.error("message.given_up", message=message_id, state=state)
    _count(channel, state)


async def _send(services: Services, message: Message) -> None:
    try:
        result = await _hand_over(services, message)
    except OutcomeUnknown as unknown:
        log.warning("message.outcome_unknown", message=message.id)
        # The retry asks what became of it; it does not send.
        raise TemporaryFailure(
            "the provider did not answer", retry_after_seconds=PATIENCE_SECONDS
        ) from unknown
    except TemporaryFailure as failure:
        await _record(services, message.id, state="queued", error=str(failure))
        raise
    except PermanentFailure as failure:
        await _record(services, message.id, state="failed", error=str(failure))
        if isinstance(failure, AddressRefused):
            await _note_bounce(services, message.id, failure.status)
        raise
    await _record_sent(services, message.id, result)


async def _note_bounce(services: Services, message_id: str, status: str) -> None:
    async with services.sessions.begin() as session:
        await bounces.note(
            session, message_id, "bounced", status=status, is_bad_address=True, now=services.clock()
        )


async def _find_out(services: Services, message: Message) -> None:
    """A worker died, or the answer was lost, after "sending" was written: ask the provider."""
    waited = (services.clock() - (message.tried_at or message.created_at)).total_seconds()
    if waited < PATIENCE_SECONDS:
        raise TemporaryFailure("still being sent", retry_after_seconds=PATIENCE_SECONDS - waited)
    if message.channel != "sms":
        await _record(services, message.id, state="unknown", error="the mail server's answer was lost")
        return
    try:
        result = await services.sms.find(message.id, recipient=message.recipient)
    except CannotAsk:
        await _record(services, message.id, state="unknown", error="the provider's answer was lost")
        return
    if result is not None:
        await _record_sent(services, message.id, result)
        return
    await _record(services, message.id, state="queued", error="the provider never got it")
    raise TemporaryFailure("the provider never got it: sending again", retry_after_seconds=1)


async def _hand_over(services: Services, message: Message) -> SendResult:
    if message.channel == "sms":
        sms = Sms(
            recipient=message.recipient,
            text=message.text,
            client_id=message.id,
            sender=services.settings.sms_sender,
        )
        return await services.sms.send(sms)
    if services.email is None:
        raise PermanentFailure("no mail server: set PASSBELL_SMTP_URL")
    await services.email.send(await _letter(services, message))
    return SendResult(provider_id=message.id, segments=1, cost=None, currency=None)


async def _letter(services: Services, message: Message) -> Email:
    """The e-mail; a campaign's with its HTML twin and a way to say no."""
    email = Email(
        recipient=message.recipient,
        subject=message.subject or "",
        text=message.text,
        html=None,
        message_id=message.id,
    )
    if message.purpose != PURPOSE or message.member_id is None:
        return email
    async with services.read_sessions() as session:
        member = await session.get_one(Member, message.member_id)
        program = await session.get_one(Program, message.program_id)
    url = f"{services.settings.public_url}/u/{letters.token_of(services.secret_key, member.id)}"
    words = services.texts.get(member.language, "unsubscribe.link")
    html = letters.html_of(message.text, sender=program.name, language=member.language, url=url, words=words)
    text = f"{message.text}\n\n{words}: {url}"
    return replace(email, text=text, html=html, unsubscribe_url=url)


async def _record(services: Services, message_id: str, *, state: str, error: str) -> None:
    async with services.sessions.begin() as session:
        now = services.clock()
        channel = await _set(session, message_id, now=now, state=state, error=error[:256])
    _count(channel, "retried" if state == "queued" else state)


async def _record_sent(services: Services, message_id: str, result: SendResult) -> None:
    async with services.sessions.begin() as session:
        channel = await _set(
            session,
            message_id,
            now=services.clock(),
            state="sent",
            error=None,
            provider_id=result.provider_id,
            segments=result.segments,
            cost=result.cost,
            currency=result.currency,
            sent_at=services.clock(),
        )
    _count(channel, "sent")


async def _set(session: AsyncSession, message_id: str, *, now: datetime, **values: object) -> str | None:
    """Note what became of a message; its channel, or None where a receipt has overtaken us.

    What is delivered or failed for good stays so.
    """
    statement = update(Message).where(Message.id == message_id, Message.state == "sending").values(**values)
    message = await session.scalar(statement.returning(Message))
    if message is None:
        return None
    await messages.tell(session, message, now=now)
    return message.channel


def _count(channel: str | None, outcome: str) -> None:
    if channel is not None:
        metrics.MESSAGES.labels(channel, outcome).inc()
