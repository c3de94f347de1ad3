"""Sending a message once more: only one that failed, or one a person decides about."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked
from app.job_queue import enqueue, kinds
from app.members.models import Message


class UnknownMessage(Exception):
    """No message of this programme has this id."""


class NotResendable(Exception):
    """The message is on its way or has arrived."""


class MayArriveTwice(Exception):
    """Nobody knows whether the message arrived: sending it again needs a person's word."""


async def message_by_id(session: AsyncSession, program_id: str, message_id: str) -> Message:
    """The message with this id. Raises UnknownMessage."""
    query = select(Message).where(Message.id == message_id, Message.program_id == program_id)
    if (message := await session.scalar(query)) is None:
        raise UnknownMessage(f"no message {message_id}")
    return message


async def resend(
    session: AsyncSession, program_id: str, message_id: str, *, may_arrive_twice: bool = False
) -> Message:
    """Queue a failed message again; one of unknown fate only with `may_arrive_twice`.

    The row is the same, so resending twice sends once. Raises UnknownMessage, NotResendable,
    MayArriveTwice.
    """
    await message_by_id(session, program_id, message_id)
    message = await locked(session, select(Message).where(Message.id == message_id))
    if message.state == "unknown" and not may_arrive_twice:
        raise MayArriveTwice(
            f"message {message_id} may have arrived: send may_arrive_twice: true to send it all the same"
        )
    if message.state not in ("failed", "unknown"):
        raise NotResendable(f"message {message_id} is {message.state}: only a failed one is sent again")

    message.state, message.error = "queued", None
    message.provider_id = message.sent_at = None
    await session.flush()
    await enqueue(session, kinds.SEND_MESSAGE, {"message_id": message.id}, priority=kinds.MESSAGE)
    return message
