"""Carrying out what sources report: one event a transaction, and what became of the delivery."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Integer, String, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import CardWanted, ContactChanged, DealTouched, Event, PointsMoved, PurchaseChanged
from app.db import Json, UtcDateTime, locked
from app.i18n import Texts
from app.inbox import contacts, movements, purchases
from app.inbox.models import InboundEvent, Source
from app.inbox.reasons import CannotApply, Reason
from app.job_queue import enqueue_many, kinds
from app.members.models import Program
from app.sql import run, typed_text

KEPT_FOR = timedelta(days=35)

_MARK = typed_text(
    """
    UPDATE inbound_events SET state = :state, reason = :reason, details = :details,
      attempts = attempts + :tries, handled_at = :now
    WHERE id = :id AND state = 'received'
""",
    {
        "id": String(),
        "state": String(),
        "reason": String(),
        "details": Json(),
        "tries": Integer(),
        "now": UtcDateTime(),
    },
)


class UnknownInboundEvent(Exception):
    """No delivery of this programme has this id."""


class NotReplayable(Exception):
    """Only a delivery that rests is handled again."""


@dataclass(frozen=True, slots=True)
class Means:
    """What the rules need of the installation."""

    texts: Texts
    link_url: str
    sms_per_day: int
    secret_key: bytes
    wallets: Callable[[str], Collection[str]]  # by country: where a new pass lives


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery that waits to be handled, and where it belongs."""

    event: InboundEvent
    source: Source
    program: Program


async def waiting(session: AsyncSession, event_id: str) -> Received | None:
    """The delivery, with where it belongs; None when it was handled or put to rest already."""
    query = (
        select(InboundEvent, Source, Program)
        .join(Source, Source.id == InboundEvent.source_id)
        .join(Program, Program.id == InboundEvent.program_id)
        .where(InboundEvent.id == event_id, InboundEvent.state == "received")
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else Received(*row)


async def count_try(session: AsyncSession, event: InboundEvent) -> None:
    """Count a try before it is made: for deliveries whose source must be asked, which may fail."""
    statement = (
        update(InboundEvent)
        .where(InboundEvent.id == event.id)
        .values(attempts=InboundEvent.attempts + 1)
        .returning(InboundEvent.attempts)
    )
    event.attempts = (await session.scalars(statement)).one()


async def apply(
    session: AsyncSession, received: Received, event: Event, means: Means, *, now: datetime
) -> str | None:
    """Carry out one event; the id of what it made or changed. Doing it again changes nothing.

    Raises CannotApply, and what the rules of members and points raise (`reasons.reason_of`).
    """
    program, source = received.program, received.source
    if isinstance(event, PointsMoved):
        return await movements.move(session, program, source, event, now=now)
    if isinstance(event, PurchaseChanged):
        return await purchases.change(session, program, source, event, now=now)
    if isinstance(event, ContactChanged):
        return await contacts.follow(session, program, source, event, now=now)
    if isinstance(event, CardWanted):
        return await contacts.give_card(
            session,
            program,
            source,
            event,
            texts=means.texts,
            link_url=means.link_url,
            sms_per_day=means.sms_per_day,
            secret_key=means.secret_key,
            wallets=means.wallets(program.country),
            now=now,
        )
    if isinstance(event, DealTouched):
        raise CannotApply("not_asked", deal=event.deal)
    return await purchases.take_back(session, program, source, event, now=now)


async def mark_handled(
    session: AsyncSession, event_id: str, did: Sequence[str], *, tries: int = 0, now: datetime
) -> None:
    """Note that everything a delivery says is done; `did` are the ids of what it made or changed.

    `tries` were not counted before.
    """
    values = {"state": "handled", "reason": None, "details": {"did": list(did)}}
    await run(session, _MARK, values | {"id": event_id, "tries": tries, "now": now})


async def put_to_rest(
    session: AsyncSession, event_id: str, reason: Reason, *, tries: int = 0, now: datetime
) -> None:
    """Note why a delivery could not be handled."""
    values = {"state": "rested", "reason": reason.code, "details": dict(reason.values)}
    await run(session, _MARK, values | {"id": event_id, "tries": tries, "now": now})


async def event_by_id(session: AsyncSession, program_id: str, event_id: str) -> InboundEvent:
    """The delivery with this id. Raises UnknownInboundEvent."""
    query = select(InboundEvent).where(InboundEvent.id == event_id, InboundEvent.program_id == program_id)
    if (found := await session.scalar(query)) is None:
        raise UnknownInboundEvent(f"no delivery {event_id}")
    return found


async def replay(session: AsyncSession, program_id: str, event_id: str) -> InboundEvent:
    """Handle a delivery that rests once more. Raises UnknownInboundEvent, NotReplayable."""
    await event_by_id(session, program_id, event_id)
    event = await locked(session, select(InboundEvent).where(InboundEvent.id == event_id))
    if event.state != "rested":
        raise NotReplayable(f"delivery {event_id} is {event.state}: only one that rests is handled again")
    await _again(session, [event])
    return event


async def replay_all(
    session: AsyncSession, program_id: str, *, reason: str | None = None, limit: int = 1000
) -> int:
    """Handle what rests (for this reason, where one is given) once more, the oldest first; how many."""
    query = select(InboundEvent).where(InboundEvent.program_id == program_id, InboundEvent.state == "rested")
    if reason is not None:
        query = query.where(InboundEvent.reason == reason)
    events = (await session.scalars(query.order_by(InboundEvent.id).limit(limit).with_for_update())).all()
    await _again(session, events)
    return len(events)


async def _again(session: AsyncSession, events: Sequence[InboundEvent]) -> None:
    for event in events:
        event.state, event.reason, event.details, event.handled_at = "received", None, {}, None
    await session.flush()
    jobs = [{"event_id": event.id} for event in events]
    await enqueue_many(session, kinds.HANDLE_INBOUND, jobs, priority=kinds.LIVE)


async def forget_handled(session: AsyncSession, *, now: datetime) -> int:
    """Drop the deliveries that were handled five weeks ago; how many. Purchases and points stay."""
    statement = delete(InboundEvent).where(
        InboundEvent.state == "handled", InboundEvent.handled_at < now - KEPT_FOR
    )
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount
