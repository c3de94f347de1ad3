"""The tries of a delivery: when the next one is, and when an endpoint is given up."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked
from app.errors import PermanentFailure
from app.job_queue import enqueue, kinds
from app.sealing import CannotUnseal
from app.webhooks.announce import look_again
from app.webhooks.endpoints import signing_secrets
from app.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent

MINUTE, HOUR = 60.0, 3600.0
# Waits after the first, second ... failed try; after the tenth it has failed (Standard Webhooks' example).
WAITS_SECONDS = (
    5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR
)  # fmt: skip
JITTER = 0.1
GIVEN_UP_AFTER = timedelta(days=5)  # of nothing but failures
KEPT_FOR = timedelta(days=35)
GONE = 410


@dataclass(frozen=True, slots=True)
class Due:
    """A try: what goes where, signed with what."""

    delivery_id: str
    event_id: str
    url: str
    body: bytes
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try. `status` is None where nobody answered; `error` is in words."""

    status: int | None
    error: str | None = None
    retry_after_seconds: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def due(session: AsyncSession, secret_key: bytes, delivery_id: str, *, now: datetime) -> Due | None:
    """What to send now; None when it is delivered, has failed, or its endpoint is disabled.

    Raises PermanentFailure where its secrets do not open.
    """
    query = (
        select(WebhookDelivery, WebhookEvent, WebhookEndpoint)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.id == delivery_id, WebhookDelivery.state == "waiting")
    )
    row = (await session.execute(query)).one_or_none()
    if row is None or row.WebhookEndpoint.state != "active" or row.WebhookEndpoint.url is None:
        return None
    try:
        secrets = signing_secrets(secret_key, row.WebhookEndpoint, now=now)
    except CannotUnseal as error:
        raise PermanentFailure(f"{error}: `passbell webhook rotate`, then resend") from error
    return Due(
        delivery_id, row.WebhookEvent.id, row.WebhookEndpoint.url, body_of(row.WebhookEvent), tuple(secrets)
    )


def body_of(event: WebhookEvent) -> bytes:
    """An event as it is sent: the same bytes at every try."""
    return orjson.dumps({"type": event.type, "timestamp": event.at.isoformat(), "data": event.data})


async def record(session: AsyncSession, delivery_id: str, outcome: Outcome, *, now: datetime) -> str | None:
    """Note what came of a try and order the next; why the endpoint was disabled by it, None if it was not."""
    query = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    delivery = await locked(session, query)
    endpoint = await locked(
        session, select(WebhookEndpoint).where(WebhookEndpoint.id == delivery.endpoint_id)
    )
    if delivery.state != "waiting":
        return None
    delivery.attempts += 1
    delivery.status, delivery.error = outcome.status, (outcome.error or "")[:256] or None
    if outcome.is_success:
        delivery.state, delivery.delivered_at, delivery.next_at = "delivered", now, None
        endpoint.failing_since = None
        await session.flush()
        return None
    endpoint.failing_since = endpoint.failing_since or now
    because = _given_up(endpoint, outcome, now=now)
    if because is not None:
        endpoint.state, endpoint.disabled_because, delivery.next_at = "disabled", because, None
        look_again(session)
    elif delivery.attempts > len(WAITS_SECONDS):
        delivery.state, delivery.next_at = "failed", None
    else:
        wait = _wait(delivery.attempts, outcome)
        delivery.next_at = now + timedelta(seconds=wait)
        args = {"delivery_id": delivery_id}
        await enqueue(session, kinds.SEND_WEBHOOK, args, priority=kinds.WEBHOOK, run_at=delivery.next_at)
    await session.flush()
    return because


def _given_up(endpoint: WebhookEndpoint, outcome: Outcome, *, now: datetime) -> str | None:
    if outcome.status == GONE:
        return "it answered 410 Gone"
    if endpoint.failing_since and now - endpoint.failing_since >= GIVEN_UP_AFTER:
        return "every delivery failed for five days"
    return None


def _wait(failed: int, outcome: Outcome) -> float:
    """How long until the next try, a little spread; not sooner than the receiver asks, within a day."""
    wait = WAITS_SECONDS[failed - 1]
    spread = wait * random.uniform(1.0, 1.0 + JITTER)  # noqa: S311  no secret
    return max(spread, min(outcome.retry_after_seconds or 0.0, 24 * HOUR))


async def forget_old(session: AsyncSession, *, now: datetime) -> int:
    """Drop events of five weeks ago with their deliveries; how many."""
    old = select(WebhookEvent.id).where(WebhookEvent.at < now - KEPT_FOR)
    await session.execute(delete(WebhookDelivery).where(WebhookDelivery.event_id.in_(old)))
    result = await session.execute(delete(WebhookEvent).where(WebhookEvent.at < now - KEPT_FOR))
    return cast("CursorResult[Any]", result).rowcount
