"""The inbox: what sources delivered, what became of it, and handling it once more."""

from base64 import b64encode
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field
from sqlalchemy import select

from app.i18n import Texts
from app.inbox import handle, reasons
from app.inbox.models import InboundEvent
from app.web.api import paging
from app.web.api.keys import InboxRead, InboxWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInPath, Page, Taken, Time, storable
from app.web.dependencies import FromServices, Language, Reading, Transaction

router = APIRouter(tags=["inbox"])

State = Literal["received", "handled", "rested"]
ReasonCode = Annotated[str, Field(max_length=64), AfterValidator(storable)]


class ReasonOut(Given):
    """Why a delivery could not be handled."""

    code: str = Field(examples=["unknown_contact"])
    text: str = Field(description="For a manager, in the language the request accepts")


class InboundEventOut(Given):
    """One delivery of a source."""

    id: str = Field(examples=["inb_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["inbound_event"] = "inbound_event"
    source_id: str
    event_key: str = Field(description="The source's own id of the event, or a digest of the body")
    state: State = Field(description="rested: could not be handled; mend the cause, then replay")
    reason: ReasonOut | None
    did: list[str] = Field(description="Ids of what it made or changed")
    attempts: int
    received_at: Time
    handled_at: Time | None

    @classmethod
    def of(cls, event: InboundEvent, texts: Texts, language: str) -> "InboundEventOut":
        return cls(**_fields(event, texts, language))


class RawInboundEventOut(InboundEventOut):
    """A delivery with what came, as it came."""

    url: str
    headers: dict[str, str]
    body: str = Field(description="As text, where it is UTF-8")
    body_base64: str


def _fields(event: InboundEvent, texts: Texts, language: str) -> dict[str, Any]:
    reason = None
    if event.reason is not None:
        text = reasons.text_of(texts, language, event.reason, event.details)
        reason = ReasonOut(code=event.reason, text=text)
    return {
        "id": event.id,
        "source_id": event.source_id,
        "event_key": event.event_key,
        "state": cast(State, event.state),
        "reason": reason,
        "did": event.details.get("did", []) if event.state == "handled" else [],
        "attempts": event.attempts,
        "received_at": event.received_at,
        "handled_at": event.handled_at,
    }


class Replay(Taken):
    """Which deliveries to handle once more."""

    reason: ReasonCode | None = Field(None, description="Only those that rest for this reason")


class Replayed(Given):
    object: Literal["replayed"] = "replayed"
    count: int


@router.get("/inbox", summary="List deliveries")
async def list_inbox(
    caller: InboxRead,
    session: Reading,
    services: FromServices,
    language: Language,
    state: State | None = None,
    reason: Annotated[ReasonCode | None, Query()] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[InboundEventOut]:
    query = select(InboundEvent).where(InboundEvent.program_id == caller.program_id)
    if state is not None:
        query = query.where(InboundEvent.state == state)
    if reason is not None:
        query = query.where(InboundEvent.reason == reason)
    page = await paging.page(session, query, InboundEvent.id, limit=limit, cursor=cursor)
    return page.of([InboundEventOut.of(row, services.texts, language) for row in page.rows])


@router.get("/inbox/{event_id}", summary="One delivery, as it came")
async def get_inbound_event(
    event_id: IdInPath, caller: InboxRead, session: Reading, services: FromServices, language: Language
) -> RawInboundEventOut:
    event = await handle.event_by_id(session, caller.program_id, event_id)
    return RawInboundEventOut(
        **_fields(event, services.texts, language),
        url=event.url,
        headers=event.headers,
        body=event.body.decode("utf-8", "replace"),
        body_base64=b64encode(event.body).decode(),
    )


@router.post("/inbox/{event_id}/replay", status_code=202, summary="Handle a delivery once more")
async def replay_inbound_event(
    event_id: IdInPath, caller: InboxWrite, session: Transaction, services: FromServices, language: Language
) -> InboundEventOut:
    """For a delivery that rests, once the cause is mended. What it did already is not done twice."""
    event = await handle.replay(session, caller.program_id, event_id)
    return InboundEventOut.of(event, services.texts, language)


@router.post("/inbox/replay", status_code=202, summary="Handle once more what rests")
async def replay_inbox(caller: InboxWrite, session: Transaction, wanted: Replay | None = None) -> Replayed:
    """At most a thousand at once, the oldest first."""
    reason = wanted.reason if wanted else None
    return Replayed(count=await handle.replay_all(session, caller.program_id, reason=reason))
