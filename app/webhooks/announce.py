"""Writing down that something happened, in the caller's transaction, if anybody listens.

Nearly always nobody does, and movements of points are many: so a process remembers for two seconds which
programmes have listeners. A new endpoint hears of everything that happens later than that.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.job_queue import enqueue_many, kinds
from app.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.webhooks.types import EVERY_TYPE

BELIEVED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    until: float
    programs: frozenset[str]


_seen: WeakKeyDictionary[Engine | Connection, _Seen] = WeakKeyDictionary()


async def is_heard(session: AsyncSession, program_id: str | None = None) -> bool:
    """Whether anybody listens to this programme, or to any. Costs nothing most of the time."""
    bind = session.get_bind()
    programs = remembered(bind)
    if programs is None:
        query = select(WebhookEndpoint.program_id).where(WebhookEndpoint.state == "active").distinct()
        programs = frozenset(await session.scalars(query))
        _seen[bind] = _Seen(time.monotonic() + BELIEVED_SECONDS, programs)
    return program_id in programs if program_id else bool(programs)


def remembered(bind: Engine | Connection) -> frozenset[str] | None:
    """The programmes that somebody listens to; None when this process has not looked a moment ago."""
    seen = _seen.get(bind)
    return None if seen is None or seen.until < time.monotonic() else seen.programs


def look_again(session: AsyncSession) -> None:
    """Forget who listens: this process's next event asks the database."""
    _seen.pop(session.get_bind(), None)


async def announce(
    session: AsyncSession, program_id: str, kind: str, data: Mapping[str, Any], *, now: datetime
) -> None:
    """Tell those who listen to events of this type (a name of types.py); nobody, nothing written."""
    await announce_many(session, program_id, [(kind, data)], now=now)


async def announce_many(
    session: AsyncSession,
    program_id: str,
    happened: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    now: datetime,
) -> None:
    """The same for several events of one programme, in a few statements."""
    if not happened or not await is_heard(session, program_id):
        return
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.program_id == program_id, WebhookEndpoint.state == "active"
    )
    endpoints = (await session.scalars(query)).all()
    listening = {
        kind: [each for each in endpoints if {kind, EVERY_TYPE} & set(each.event_types)]
        for kind in {kind for kind, _ in happened}
    }
    await write_many(
        session,
        program_id,
        [(kind, data, listening[kind]) for kind, data in happened if listening[kind]],
        now=now,
    )


async def write(
    session: AsyncSession,
    program_id: str,
    kind: str,
    data: Mapping[str, Any],
    endpoints: list[WebhookEndpoint],
    *,
    now: datetime,
) -> list[WebhookDelivery]:
    """An event for these endpoints, and the jobs that deliver it."""
    return await write_many(session, program_id, [(kind, data, endpoints)], now=now)


async def write_many(
    session: AsyncSession,
    program_id: str,
    happened: Sequence[tuple[str, Mapping[str, Any], Sequence[WebhookEndpoint]]],
    *,
    now: datetime,
) -> list[WebhookDelivery]:
    """Events, each for its endpoints, and the jobs that deliver them."""
    deliveries: list[WebhookDelivery] = []
    jobs: list[dict[str, str]] = []
    for kind, data, endpoints in happened:
        event = WebhookEvent(id=new_id("evt"), program_id=program_id, type=kind, data=dict(data), at=now)
        session.add(event)
        for each in endpoints:
            delivery = WebhookDelivery(
                id=new_id("whd"),
                program_id=program_id,
                endpoint_id=each.id,
                event_id=event.id,
                state="waiting",
                attempts=0,
                next_at=now if each.url else None,
            )
            deliveries.append(delivery)
            if each.url:
                jobs.append({"delivery_id": delivery.id})
    await session.flush()  # events before deliveries: the mapping knows which needs which
    session.add_all(deliveries)
    await session.flush()
    await enqueue_many(session, kinds.SEND_WEBHOOK, jobs, priority=kinds.WEBHOOK)
    return deliveries
