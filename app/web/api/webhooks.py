"""Webhook endpoints: who hears of what happens, what became of each delivery, and the feed to fetch."""

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.web.api import paging
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import WebhooksRead, WebhooksWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInBody, IdInPath, Page, Taken, Text, Time, storable
from app.web.dependencies import FromServices, Now, Reading, Transaction
from app.webhooks import endpoints
from app.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.webhooks.types import TYPES

router = APIRouter(tags=["webhooks"])

Url = Annotated[
    str,
    Field(max_length=2000, pattern=r"^https?://[!-~]+$", examples=["https://crm.example/hooks/passbell"]),
]
EventTypes = Annotated[
    list[Annotated[str, Field(max_length=48)]],
    Field(min_length=1, max_length=50, examples=[["transaction.posted", "member.enrolled"]]),
]
Description = Annotated[str, Field(max_length=128), AfterValidator(storable)]
EndpointState = Literal["active", "disabled"]
DeliveryState = Literal["waiting", "delivered", "failed"]


class NewEndpoint(Taken):
    """Somebody who wants to hear."""

    url: Url | None = Field(None, description="Called with each event; none: you fetch them and acknowledge")
    event_types: EventTypes = Field(["*"], description='"*" or some of: ' + ", ".join(TYPES))
    description: Description = ""


class EndpointChanges(Taken):
    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    state: EndpointState | None = Field(None, description="active again: what waited is delivered")


class EndpointOut(Given):
    """Somebody who hears of what happens."""

    id: str = Field(examples=["whe_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    url: str | None
    event_types: list[str]
    description: str
    state: EndpointState
    disabled_because: str | None
    failing_since: Time | None
    created_at: Time

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "EndpointOut":
        return cls(**_fields(endpoint))


class EndpointWithSecret(EndpointOut):
    """An endpoint with its signing secret, which is shown this once."""

    secret: str = Field(description="Verifies the header webhook-signature (Standard Webhooks)")


def _fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    names = (
        "id",
        "url",
        "event_types",
        "description",
        "state",
        "disabled_because",
        "failing_since",
        "created_at",
    )
    return {name: getattr(endpoint, name) for name in names}


class EventOut(Given):
    """Something that happened."""

    id: str = Field(examples=["evt_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["event"] = "event"
    type: str = Field(examples=["transaction.posted"])
    timestamp: Time
    data: dict[str, Any]


class Acknowledge(Taken):
    """Events you have dealt with."""

    event_ids: list[IdInBody] = Field(min_length=1, max_length=200)


class Acknowledged(Given):
    object: Literal["acknowledged"] = "acknowledged"
    count: int = Field(description="How many of them were still in the feed")


class DeliveryOut(Given):
    """One event for one endpoint, and what became of it."""

    id: str = Field(examples=["whd_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["webhook_delivery"] = "webhook_delivery"
    endpoint_id: str
    event_id: str
    state: DeliveryState
    attempts: int
    status: int | None = Field(description="Of the last answer; null: there was none")
    error: str | None
    next_at: Time | None
    delivered_at: Time | None

    @classmethod
    def of(cls, delivery: WebhookDelivery) -> "DeliveryOut":
        return cls(
            id=delivery.id,
            endpoint_id=delivery.endpoint_id,
            event_id=delivery.event_id,
            state=cast(DeliveryState, delivery.state),
            attempts=delivery.attempts,
            status=delivery.status,
            error=delivery.error,
            next_at=delivery.next_at,
            delivered_at=delivery.delivered_at,
        )


@router.post(
    "/webhooks/endpoints",
    status_code=201,
    summary="Add an endpoint",
    responses={201: {"model": EndpointWithSecret}},
)
async def add_endpoint(
    wanted: NewEndpoint, caller: WebhooksWrite, services: FromServices, once: OnlyOnce, now: Now
) -> Response:
    """It hears of what happens from about two seconds later on."""

    async def work(session: AsyncSession) -> EndpointWithSecret:
        endpoint, secret = await endpoints.add(
            session,
            services.secret_key,
            caller.program_id,
            url=wanted.url,
            event_types=wanted.event_types,
            description=wanted.description,
            may_be_plain=services.webhooks.may_be_private,
            now=now,
        )
        return EndpointWithSecret(**_fields(endpoint), secret=secret)

    return await once.answer(caller, wanted, work, now=now)


@router.get("/webhooks/endpoints", summary="List endpoints")
async def list_endpoints(caller: WebhooksRead, session: Reading) -> Page[EndpointOut]:
    found = await endpoints.list_endpoints(session, caller.program_id)
    return Page(data=[EndpointOut.of(each) for each in found], has_more=False, next_cursor=None)


@router.get("/webhooks/endpoints/{endpoint_id}", summary="One endpoint")
async def get_endpoint(endpoint_id: IdInPath, caller: WebhooksRead, session: Reading) -> EndpointOut:
    return EndpointOut.of(await endpoints.by_id(session, caller.program_id, endpoint_id))


@router.patch("/webhooks/endpoints/{endpoint_id}", summary="Change, disable or enable an endpoint")
async def change_endpoint(
    endpoint_id: IdInPath,
    wanted: EndpointChanges,
    caller: WebhooksWrite,
    session: Transaction,
    services: FromServices,
    now: Now,
) -> EndpointOut:
    endpoint = await endpoints.by_id(session, caller.program_id, endpoint_id)
    changed = await endpoints.change(
        session,
        endpoint,
        url=wanted.url,
        event_types=wanted.event_types,
        description=wanted.description,
        state=wanted.state,
        may_be_plain=services.webhooks.may_be_private,
        now=now,
    )
    return EndpointOut.of(changed)


@router.post("/webhooks/endpoints/{endpoint_id}/rotate", summary="Give an endpoint a new secret")
async def rotate_endpoint(
    endpoint_id: IdInPath, caller: WebhooksWrite, session: Transaction, services: FromServices, now: Now
) -> EndpointWithSecret:
    """For a day deliveries carry both signatures."""
    endpoint = await endpoints.by_id(session, caller.program_id, endpoint_id)
    secret = await endpoints.rotate(session, services.secret_key, endpoint, now=now)
    return EndpointWithSecret(**_fields(endpoint), secret=secret)


@router.post("/webhooks/endpoints/{endpoint_id}/test", status_code=202, summary="Try an endpoint out")
async def test_endpoint(
    endpoint_id: IdInPath, caller: WebhooksWrite, session: Transaction, now: Now
) -> DeliveryOut:
    """Send it an event of type webhook.test, whatever types it listens to."""
    endpoint = await endpoints.by_id(session, caller.program_id, endpoint_id)
    return DeliveryOut.of(await endpoints.try_out(session, endpoint, now=now))


@router.get("/webhooks/endpoints/{endpoint_id}/events", summary="Fetch what was not acknowledged")
async def list_events(
    endpoint_id: IdInPath, caller: WebhooksRead, session: Reading, limit: Limit = paging.LIMIT_DEFAULT
) -> Page[EventOut]:
    """The feed of an endpoint, oldest first: deal with the events, acknowledge them, and fetch again."""
    endpoint = await endpoints.by_id(session, caller.program_id, endpoint_id)
    found = await endpoints.feed(session, endpoint, limit=limit + 1)
    shown = [_event(each) for each in found[:limit]]
    return Page(data=shown, has_more=len(found) > limit, next_cursor=None)


def _event(event: WebhookEvent) -> EventOut:
    return EventOut(id=event.id, type=event.type, timestamp=event.at, data=event.data)


@router.post("/webhooks/endpoints/{endpoint_id}/acknowledge", summary="Take events out of the feed")
async def acknowledge_events(
    endpoint_id: IdInPath, wanted: Acknowledge, caller: WebhooksWrite, session: Transaction, now: Now
) -> Acknowledged:
    """May be repeated."""
    endpoint = await endpoints.by_id(session, caller.program_id, endpoint_id)
    return Acknowledged(count=await endpoints.acknowledge(session, endpoint, wanted.event_ids, now=now))


@router.get("/webhooks/deliveries", summary="List deliveries")
async def list_deliveries(
    caller: WebhooksRead,
    session: Reading,
    endpoint_id: Annotated[Text | None, Query(max_length=64)] = None,
    state: DeliveryState | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[DeliveryOut]:
    query = select(WebhookDelivery).where(WebhookDelivery.program_id == caller.program_id)
    if endpoint_id is not None:
        query = query.where(WebhookDelivery.endpoint_id == endpoint_id)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    page = await paging.page(session, query, WebhookDelivery.id, limit=limit, cursor=cursor)
    return page.of([DeliveryOut.of(row) for row in page.rows])


@router.post("/webhooks/deliveries/{delivery_id}/resend", status_code=202, summary="Deliver once more")
async def resend_delivery(
    delivery_id: IdInPath, caller: WebhooksWrite, session: Transaction, now: Now
) -> DeliveryOut:
    """Whatever became of it; the receiver knows the event by its webhook-id."""
    return DeliveryOut.of(await endpoints.resend(session, caller.program_id, delivery_id, now=now))
