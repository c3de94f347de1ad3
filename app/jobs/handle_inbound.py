"""Handling what a source delivered: understand it, then carry it out.

Where the delivery only names what changed, a reader asks the source for the rest, with no transaction open.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm import Delivery
from app.crm.bitrix24 import source as bitrix24
from app.crm.events import Event
from app.crm.known import ASKED, CRMS
from app.inbox import handle
from app.inbox.handle import Means, Received
from app.inbox.reasons import RESTS, Reason, reason_of
from app.job_queue import JsonScalar, Retry
from app.jobs import ask_crm
from app.jobs.bitrix24 import following, reading
from app.wiring import Services

log = structlog.get_logger(__name__)

# Waits double from 5 s up to half an hour: gives up after about half a day, and then a person looks.
RETRY = Retry(attempts_max=30, first_wait_seconds=5, longest_wait_seconds=1800)

Reader = Callable[[Services, Received, Delivery], Awaitable[Sequence[Event]]]
Follower = Callable[[AsyncSession, Received, bool], Awaitable[None]]


async def _parse(services: Services, received: Received, delivery: Delivery) -> Sequence[Event]:
    """The events of a delivery that says everything itself."""
    return CRMS[received.source.kind].parse(delivery, received.source.settings)


# Kinds of source that must be asked for more than they deliver; the others say everything themselves.
READERS: dict[str, Reader] = {bitrix24.KIND: reading.read, **dict.fromkeys(ASKED, ask_crm.read_back)}
# Kinds that hear what became of a delivery: called where that is written down, with whether it did anything.
FOLLOWERS: dict[str, Follower] = {bitrix24.KIND: following.order}


async def handle_inbound(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Handle one delivery. Repeating is safe: what is done is found done.

    What cannot be carried out as things are puts the delivery to rest with the reason; the other events of
    the same delivery are carried out all the same.
    """
    event_id = str(args["event_id"])
    received = await _waiting(services, event_id)
    if received is None:
        return
    try:
        events = await _read(services, received)
    except RESTS as error:
        await _rest(services, received, reason_of(error))
        return
    await _carry_out(services, received, events)


async def _waiting(services: Services, event_id: str) -> Received | None:
    async with services.read_sessions() as session:
        return await handle.waiting(session, event_id)


async def _read(services: Services, received: Received) -> Sequence[Event]:
    """What the delivery says; from a source that must be asked, what it answers now."""
    ask = READERS.get(received.source.kind)
    if ask is None:
        return await _parse(services, received, _delivery(received))
    async with services.sessions.begin() as session:
        await handle.count_try(session, received.event)
    return await ask(services, received, _delivery(received))


def _uncounted(received: Received) -> int:
    return 0 if received.source.kind in READERS else 1


async def _carry_out(services: Services, received: Received, events: Sequence[Event]) -> None:
    means = Means(
        services.texts,
        services.settings.link_url,
        services.settings.sms_spend_limit_per_day,
        services.secret_key,
        services.wallets,
    )
    did: list[str] = []
    reasons: list[Reason] = []
    for place, event in enumerate(events):
        is_last = place == len(events) - 1
        try:
            async with services.sessions.begin() as session:
                made = await handle.apply(session, received, event, means, now=services.clock())
                did += [made] if made else []
                if is_last and not reasons:
                    await _finish(services, session, received, did)
        except RESTS as error:  # anything else is a failure, and tried again
            reasons.append(reason_of(error))
    if reasons:
        await _rest(services, received, reasons[0])
    elif not events:
        async with services.sessions.begin() as session:
            await _finish(services, session, received, [])


async def _finish(services: Services, session: AsyncSession, received: Received, did: Sequence[str]) -> None:
    tries = _uncounted(received)
    await handle.mark_handled(session, received.event.id, did, tries=tries, now=services.clock())
    if (follower := FOLLOWERS.get(received.source.kind)) is not None:
        await follower(session, received, bool(did))


async def give_up(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Nobody tries any more: the delivery rests, so that a person sees it and may replay it."""
    received = await _waiting(services, str(args["event_id"]))
    if received is not None:
        await _rest(services, received, Reason("gave_up", {}))


async def _rest(services: Services, received: Received, reason: Reason) -> None:
    async with services.sessions.begin() as session:
        tries = _uncounted(received)
        await handle.put_to_rest(session, received.event.id, reason, tries=tries, now=services.clock())
        if (follower := FOLLOWERS.get(received.source.kind)) is not None:
            await follower(session, received, True)
    log.warning("inbox.rested", delivery=received.event.id, reason=reason.code)


def _delivery(received: Received) -> Delivery:
    event = received.event
    return Delivery(
        url=event.url, token="", headers=event.headers, body=event.body, received_at=event.received_at
    )
