"""Delivering events to the endpoints that listen: at least once, under an id that stays the same.

Each try is a job of its own: when one fails, the note of it and the next job are one transaction.
"""

from collections.abc import Mapping

import structlog

from app import standard_webhooks
from app.db import new_id
from app.job_queue import JsonScalar, Retry
from app.members.models import Notice
from app.webhooks import deliveries
from app.webhooks.deliveries import Outcome
from app.webhooks.models import WebhookDelivery
from app.wiring import Services

log = structlog.get_logger(__name__)

RETRY = Retry(attempts_max=50, first_wait_seconds=5, longest_wait_seconds=900)  # of what fails on our side
AT_ONCE = 20  # a slow receiver must not keep the worker from pushing


async def send_webhook(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Try a delivery once. Repeating is safe: receivers know an event by its id."""
    delivery_id = str(args["delivery_id"])
    async with services.sessions.begin() as session:
        due = await deliveries.due(session, services.secret_key, delivery_id, now=services.clock())
    if due is None:
        return
    headers = standard_webhooks.headers(due.event_id, due.body, due.secrets, now=services.clock())
    reply = await services.webhooks.post(due.url, due.body, headers)
    outcome = Outcome(reply.status, reply.error, reply.retry_after_seconds)
    async with services.sessions.begin() as session:
        because = await deliveries.record(session, delivery_id, outcome, now=services.clock())
        if because is not None:
            delivery = await session.get_one(WebhookDelivery, delivery_id)
            session.add(
                Notice(
                    id=new_id("ntc"),
                    program_id=delivery.program_id,
                    kind="webhook.disabled",
                    member_id=None,
                    details={"endpoint": delivery.endpoint_id, "because": because},
                    created_at=services.clock(),
                )
            )
    if not outcome.is_success:
        log.warning("webhook.failed", delivery=delivery_id, status=outcome.status, reason=outcome.error)
