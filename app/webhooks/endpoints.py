"""Endpoints: adding, changing, trying out, new secrets; and the feed of those that fetch."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import standard_webhooks
from app.db import locked, new_id
from app.job_queue import enqueue_many, kinds
from app.sealing import CannotUnseal, seal, unseal
from app.webhooks.announce import look_again, write
from app.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.webhooks.types import EVERY_TYPE, TYPES

log = structlog.get_logger(__name__)

BOTH_VALID_FOR = timedelta(hours=24)
ENDPOINTS_MAX = 50  # of a programme: each is a row for every event
CURRENT, PREVIOUS, PREVIOUS_UNTIL = "current", "previous", "previous_until"


class UnknownEndpoint(Exception):
    """No endpoint of this programme has this id."""


class UnknownDelivery(Exception):
    """No delivery of this programme has this id."""


class BadEndpoint(Exception):
    """An endpoint cannot be made this way; says what to change."""


def check(url: str | None, event_types: Sequence[str], *, may_be_plain: bool) -> None:
    """Raises BadEndpoint. `may_be_plain`: http:// is allowed, for trials."""
    if unknown := set(event_types) - TYPES.keys() - {EVERY_TYPE}:
        raise BadEndpoint(f"unknown event types {', '.join(sorted(unknown))}: there are {', '.join(TYPES)}")
    if not event_types:
        raise BadEndpoint('name the event types, or "*" for every one')
    if url is None:
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadEndpoint(f"this is no URL: {error}") from error
    schemes = ("https", "http") if may_be_plain else ("https",)
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise BadEndpoint("the URL must begin with https:// and name a host")
    if parts.username or parts.password or parts.fragment:
        raise BadEndpoint("the URL must hold no user, password or fragment: deliveries are signed instead")


async def add(
    session: AsyncSession,
    secret_key: bytes,
    program_id: str,
    *,
    url: str | None,
    event_types: Sequence[str],
    description: str,
    may_be_plain: bool,
    now: datetime,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its signing secret, shown this once. Raises BadEndpoint."""
    check(url, event_types, may_be_plain=may_be_plain)
    if len(await list_endpoints(session, program_id)) >= ENDPOINTS_MAX:
        raise BadEndpoint(f"a programme has at most {ENDPOINTS_MAX} endpoints")
    endpoint_id, secret = new_id("whe"), standard_webhooks.new_secret()
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        program_id=program_id,
        url=url,
        description=description,
        event_types=sorted(set(event_types)),
        sealed=seal(secret_key, endpoint_id, {CURRENT: secret}),
        state="active",
        created_at=now,
    )
    session.add(endpoint)
    await session.flush()
    look_again(session)
    return endpoint, secret


async def rotate(
    session: AsyncSession, secret_key: bytes, endpoint: WebhookEndpoint, *, now: datetime
) -> str:
    """A new signing secret; for a day deliveries carry both signatures."""
    mine = await locked(session, select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id))
    fresh = standard_webhooks.new_secret()
    renewed = {CURRENT: fresh}
    try:
        replaced = unseal(secret_key, mine.id, mine.sealed)[CURRENT]
    except CannotUnseal:  # the installation's secret is another now: this is how an endpoint is mended
        log.warning("webhook.sealed", endpoint=mine.id)
    else:
        renewed |= {PREVIOUS: replaced, PREVIOUS_UNTIL: (now + BOTH_VALID_FOR).isoformat()}
    mine.sealed = seal(secret_key, mine.id, renewed)
    await session.flush()
    return fresh


def signing_secrets(secret_key: bytes, endpoint: WebhookEndpoint, *, now: datetime) -> list[str]:
    """The secrets a delivery is signed with: the new one first. Raises CannotUnseal."""
    kept = unseal(secret_key, endpoint.id, endpoint.sealed)
    found = [kept[CURRENT]]
    if PREVIOUS in kept and datetime.fromisoformat(kept[PREVIOUS_UNTIL]) > now:
        found.append(kept[PREVIOUS])
    return found


async def change(
    session: AsyncSession,
    endpoint: WebhookEndpoint,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    description: str | None = None,
    state: str | None = None,
    may_be_plain: bool,
    now: datetime,
) -> WebhookEndpoint:
    """Change an endpoint. One that is active again gets what waited for it. Raises BadEndpoint."""
    mine = await locked(session, select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id))
    if url is not None and mine.url is None:
        raise BadEndpoint("this endpoint fetches its events: add another one for the URL")
    check(url or mine.url, event_types or mine.event_types, may_be_plain=may_be_plain)
    mine.url = url or mine.url
    mine.event_types = sorted(set(event_types)) if event_types else mine.event_types
    mine.description = mine.description if description is None else description
    if state == "active" and mine.state != "active":
        mine.disabled_because = mine.failing_since = None
        await _deliver_what_waits(session, mine, now=now)
    mine.state = state or mine.state
    await session.flush()
    look_again(session)
    return mine


async def _deliver_what_waits(session: AsyncSession, endpoint: WebhookEndpoint, *, now: datetime) -> None:
    if endpoint.url is None:
        return
    waiting = (
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.state == "waiting")
        .values(next_at=now)
        .returning(WebhookDelivery.id)
    )
    jobs = [{"delivery_id": each} for each in sorted(await session.scalars(waiting))]
    await enqueue_many(session, kinds.SEND_WEBHOOK, jobs, priority=kinds.WEBHOOK)


async def by_id(session: AsyncSession, program_id: str, endpoint_id: str) -> WebhookEndpoint:
    """The endpoint with this id. Raises UnknownEndpoint."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.program_id == program_id
    )
    if (found := await session.scalar(query)) is None:
        raise UnknownEndpoint(f"no endpoint {endpoint_id}")
    return found


async def list_endpoints(session: AsyncSession, program_id: str) -> Sequence[WebhookEndpoint]:
    """The programme's endpoints, oldest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.program_id == program_id)
    return (await session.scalars(query.order_by(WebhookEndpoint.id))).all()


async def try_out(session: AsyncSession, endpoint: WebhookEndpoint, *, now: datetime) -> WebhookDelivery:
    """Send the endpoint an event of type webhook.test, whatever types it listens to."""
    (delivery,) = await write(
        session, endpoint.program_id, "webhook.test", {"endpoint_id": endpoint.id}, [endpoint], now=now
    )
    return delivery


async def resend(
    session: AsyncSession, program_id: str, delivery_id: str, *, now: datetime
) -> WebhookDelivery:
    """Send a delivery once more, whatever became of it, beginning the table of tries anew.

    Raises UnknownDelivery.
    """
    query = select(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id, WebhookDelivery.program_id == program_id
    )
    delivery = await session.scalar(query.with_for_update())
    if delivery is None:
        raise UnknownDelivery(f"no delivery {delivery_id}")
    delivery.state, delivery.attempts, delivery.next_at, delivery.delivered_at = "waiting", 0, now, None
    await session.flush()
    endpoint = await session.get_one(WebhookEndpoint, delivery.endpoint_id)
    if endpoint.url:
        jobs = [{"delivery_id": delivery.id}]
        await enqueue_many(session, kinds.SEND_WEBHOOK, jobs, priority=kinds.WEBHOOK)
    return delivery


async def feed(session: AsyncSession, endpoint: WebhookEndpoint, *, limit: int) -> list[WebhookEvent]:
    """What an endpoint has not acknowledged yet, oldest first."""
    query = (
        select(WebhookEvent)
        .join(WebhookDelivery, WebhookDelivery.event_id == WebhookEvent.id)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.state == "waiting")
        .order_by(WebhookDelivery.id)
        .limit(limit)
    )
    return list(await session.scalars(query))


async def acknowledge(
    session: AsyncSession, endpoint: WebhookEndpoint, event_ids: Sequence[str], *, now: datetime
) -> int:
    """Take events out of an endpoint's feed; how many were in it. May be repeated."""
    taken = (
        update(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_id == endpoint.id,
            WebhookDelivery.state == "waiting",
            WebhookDelivery.event_id.in_(event_ids),
        )
        .values(state="delivered", delivered_at=now)
        .returning(WebhookDelivery.id)
    )
    return len((await session.scalars(taken)).all())
