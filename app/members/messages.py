"""Messages to people: a row now, sent by a job after the commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.job_queue import enqueue, kinds
from app.members.models import Message
from app.webhooks.announce import announce

Channel = Literal["sms", "email"]


async def queue_message(
    session: AsyncSession,
    *,
    program_id: str,
    member_id: str | None,
    channel: Channel,
    purpose: str,
    recipient: str,
    text: str,
    subject: str | None = None,
    now: datetime,
) -> Message:
    """Write a message down and enqueue its sending, in the caller's transaction.

    `recipient` is an E.164 number or an e-mail address. `purpose` is a word for statistics.
    """
    message = Message(
        id=new_id("msg"),
        program_id=program_id,
        member_id=member_id,
        channel=channel,
        purpose=purpose,
        recipient=recipient,
        subject=subject,
        text=text,
        state="queued",
        created_at=now,
    )
    session.add(message)
    await session.flush()
    await enqueue(session, kinds.SEND_MESSAGE, {"message_id": message.id}, priority=kinds.MESSAGE)
    return message


async def note_receipts(
    session: AsyncSession, provider: str, receipts: Sequence[tuple[str, str, str | None]], *, now: datetime
) -> int:
    """Note delivery receipts, (provider's id, "delivered" | "failed" | "sent", error); how many were ours.

    A delivered or failed message stays so, whatever comes later or twice.
    """
    known = 0
    for provider_id, state, error in receipts:
        if state == "sent":
            continue
        statement = (
            update(Message)
            .where(Message.provider == provider, Message.provider_id == provider_id, Message.state == "sent")
            .values(state=state, error=error, delivered_at=now if state == "delivered" else None)
            .returning(Message)
        )
        for message in await session.scalars(statement):
            known += 1
            await tell(session, message, now=now)
    return known


async def tell(session: AsyncSession, message: Message, *, now: datetime) -> None:
    """Tell other systems what became of a message, where that is final or on its way."""
    if message.state not in ("sent", "delivered", "failed"):
        return
    data = {
        "message_id": message.id,
        "member_id": message.member_id,
        "channel": message.channel,
        "purpose": message.purpose,
        "error": message.error,
    }
    await announce(session, message.program_id, f"message.{message.state}", data, now=now)
