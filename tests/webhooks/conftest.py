"""A receiver on a real socket, an endpoint that calls it, and the job that delivers, run at once."""

from dataclasses import dataclass, field

import orjson
import pytest
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from app import standard_webhooks
from app.jobs.send_webhooks import send_webhook
from app.members.models import Program
from app.settings import Settings
from app.simulators.serving import serve
from app.webhooks import endpoints
from app.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.wiring import Services
from tests.make import NOON, make_program


@dataclass
class Receiver:
    """Somebody's server: remembers what it was sent and answers with `status`."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        self.requests.append((dict(request.headers), await request.body()))
        await Response(b"ok" * 100_000, self.status, headers=self.headers)(scope, receive, send)

    @property
    def events(self):
        return [orjson.loads(body) for _, body in self.requests]

    def are_signed(self, secret, now=NOON):
        return all(
            standard_webhooks.is_signed(given, body, [secret], now=now) for given, body in self.requests
        )


@pytest.fixture
async def receiver():
    receiver = Receiver()
    async with serve(receiver) as receiver.url:
        yield receiver


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    return Settings.model_validate(app_settings.model_dump() | {"webhooks_may_be_private": True})


@dataclass
class Listening:
    """A programme with an endpoint."""

    services: Services
    program: Program
    endpoint: WebhookEndpoint
    secret: str

    async def work(self) -> None:
        """Try every delivery that is due now."""
        now = self.services.clock()
        async with self.services.sessions() as session:
            due = select(WebhookDelivery.id).where(
                WebhookDelivery.state == "waiting", WebhookDelivery.next_at <= now
            )
            ids = (await session.scalars(due.order_by(WebhookDelivery.id))).all()
        for each in ids:
            await send_webhook(self.services, {"delivery_id": each})

    async def deliveries(self) -> list[WebhookDelivery]:
        async with self.services.sessions() as session:
            return list(await session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))

    async def now(self) -> WebhookEndpoint:
        async with self.services.sessions() as session:
            return await session.get_one(WebhookEndpoint, self.endpoint.id)


@pytest.fixture
def listen(services: Services, receiver: Receiver):
    async def listen(url: str | None = "", event_types=("*",)) -> Listening:
        async with services.sessions.begin() as session:
            program = await make_program(session)
            endpoint, secret = await endpoints.add(
                session,
                services.secret_key,
                program.id,
                url=f"{receiver.url}/in" if url == "" else url,
                event_types=event_types,
                description="",
                may_be_plain=True,
                now=NOON,
            )
        return Listening(services, program, endpoint, secret)

    return listen


@pytest.fixture
async def listening(listen) -> Listening:
    return await listen()
