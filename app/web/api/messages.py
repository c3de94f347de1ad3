"""Messages: what was sent to people, and what became of it."""

from decimal import Decimal
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import resending
from app.members.models import Message
from app.web.api import paging
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import MessagesRead, MessagesWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInPath, Page, Taken, Time, storable
from app.web.dependencies import Now, Reading

router = APIRouter(tags=["messages"])

State = Literal["queued", "sending", "sent", "delivered", "failed", "unknown"]


class MessageOut(Given):
    """One SMS or e-mail to a person."""

    id: str = Field(examples=["msg_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["message"] = "message"
    member_id: str | None
    channel: Literal["sms", "email"]
    purpose: str = Field(examples=["pass_link"])
    recipient: str = Field(examples=["+79123456789"])
    state: State = Field(description="unknown: the provider's answer was lost; it may have been sent")
    provider: str | None
    provider_id: str | None
    segments: int | None = Field(description="How many SMS it was billed as")
    cost: str | None = Field(examples=["3.2000"])
    currency: str | None
    error: str | None
    created_at: Time
    sent_at: Time | None
    delivered_at: Time | None

    @classmethod
    def of(cls, message: Message) -> "MessageOut":
        cost = cast("Decimal | None", message.cost)
        return cls(
            id=message.id,
            member_id=message.member_id,
            channel=cast("Literal['sms', 'email']", message.channel),
            purpose=message.purpose,
            recipient=message.recipient,
            state=cast(State, message.state),
            provider=message.provider,
            provider_id=message.provider_id,
            segments=message.segments,
            cost=None if cost is None else f"{cost:f}",
            currency=message.currency,
            error=message.error,
            created_at=message.created_at,
            sent_at=message.sent_at,
            delivered_at=message.delivered_at,
        )


class Resend(Taken):
    """What to do about a message that did not arrive."""

    may_arrive_twice: bool = Field(
        False,
        strict=True,
        description="Needed for a message in state unknown: the first may have arrived",
    )


@router.get("/messages", summary="List messages")
async def list_messages(
    caller: MessagesRead,
    session: Reading,
    member_id: Annotated[str | None, Query(max_length=64), AfterValidator(storable)] = None,
    state: State | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[MessageOut]:
    query = select(Message).where(Message.program_id == caller.program_id)
    if member_id is not None:
        query = query.where(Message.member_id == member_id)
    if state is not None:
        query = query.where(Message.state == state)
    page = await paging.page(session, query, Message.id, limit=limit, cursor=cursor)
    return page.of([MessageOut.of(row) for row in page.rows])


@router.get("/messages/{message_id}", summary="One message")
async def get_message(message_id: IdInPath, caller: MessagesRead, session: Reading) -> MessageOut:
    return MessageOut.of(await resending.message_by_id(session, caller.program_id, message_id))


@router.post(
    "/messages/{message_id}/resend",
    status_code=202,
    summary="Send a failed message once more",
    responses={202: {"model": MessageOut}},
)
async def resend_message(
    message_id: IdInPath, caller: MessagesWrite, once: OnlyOnce, now: Now, wanted: Resend | None = None
) -> Response:
    """Queue a message again that failed, or, if you say so, one whose fate is unknown."""
    asked = wanted or Resend(may_arrive_twice=False)

    async def work(session: AsyncSession) -> MessageOut:
        message = await resending.resend(
            session, caller.program_id, message_id, may_arrive_twice=asked.may_arrive_twice
        )
        return MessageOut.of(message)

    return await once.answer(caller, asked, work, now=now, status=202)
