"""What becomes of whom a letter does not reach, or annoys: no more letters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.consent import suppress
from app.db import locked
from app.members import messages
from app.members.models import Message

BOUNCES_MAX = 3  # letters in a row, where the server does not say that the address is no good

Outcome = Literal["bounced", "delayed", "delivered", "complained"]


class UnknownLetter(Exception):
    """We have sent no e-mail with this id."""


@dataclass(frozen=True)
class Noted:
    """What was written down: the letter, and whether its reader gets no more of them."""

    message_id: str
    program_id: str
    outcome: Outcome
    is_suppressed: bool


async def note(
    session: AsyncSession,
    message_id: str,
    outcome: Outcome,
    *,
    status: str,
    is_bad_address: bool,
    now: datetime,
) -> Noted:
    """Note what a mail server or a reader reported of a letter; may be repeated. Raises UnknownLetter."""
    query = select(Message).where(Message.id == message_id, Message.channel == "email")
    if await session.scalar(query.with_only_columns(Message.id)) is None:
        raise UnknownLetter(f"we have sent no e-mail {message_id}")
    message = await locked(session, query)
    if outcome == "bounced" and message.state in ("sending", "sent", "unknown"):
        message.state, message.error = "failed", f"bounced {status}".strip()
        await messages.tell(session, message, now=now)
    elif outcome == "delivered" and message.state in ("sent", "unknown"):
        message.state, message.delivered_at = "delivered", now
        await messages.tell(session, message, now=now)
    await session.flush()
    is_suppressed = await _suppress(session, message, outcome, is_bad_address=is_bad_address, now=now)
    return Noted(message.id, message.program_id, outcome, is_suppressed)


async def _suppress(
    session: AsyncSession, message: Message, outcome: Outcome, *, is_bad_address: bool, now: datetime
) -> bool:
    if message.member_id is None or outcome in ("delayed", "delivered"):
        return False
    if outcome == "bounced" and not is_bad_address:
        in_a_row = await _bounced_in_a_row(session, message)
        if in_a_row < BOUNCES_MAX:
            return False
    await suppress(session, message.program_id, message.member_id, "email", reason=outcome, now=now)
    return True


async def _bounced_in_a_row(session: AsyncSession, message: Message) -> int:
    """How many of the newest letters to this member bounced, with none between that arrived."""
    to_member = (Message.member_id == message.member_id, Message.channel == "email")
    arrived = select(func.max(Message.id)).where(*to_member, Message.state == "delivered").scalar_subquery()
    query = select(func.count()).where(
        *to_member,
        Message.recipient == message.recipient,
        Message.state == "failed",
        Message.error.like("bounced%"),
        Message.id > func.coalesce(arrived, ""),
    )
    return await session.scalar(query) or 0
