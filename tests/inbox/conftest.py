"""A source that delivers over HTTP, and the job that handles what it delivered, run at once."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from app import standard_webhooks
from app.crm.known import CRMS
from app.inbox import sources
from app.inbox.models import InboundEvent, Source
from app.jobs.handle_inbound import handle_inbound
from app.members.models import Account, Program
from app.wiring import Services
from tests.make import NOON, make_account, make_member, make_program, make_tier

PHONE = "+79161234567"
MAPPING = {
    "rules": [
        {
            "when": {"type": "points"},
            "event": "points",
            "reference": "{id}",
            "contact": "{contact}",
            "phone": "{phone}",
            "card_number": "{card}",
            "name": "{name}",
            "points": "{points}",
            "reason": "{reason}",
        },
        {
            "when": {"type": "spend"},
            "event": "points",
            "spent": True,
            "reference": "{id}",
            "phone": "{phone}",
            "points": "{points}",
        },
        {
            "when": {"type": "order"},
            "event": "purchase",
            "reference": "order:{order}",
            "contact": "{contact}",
            "phone": "{phone}",
            "name": "{name}",
            "amount": "{amount}",
            "currency": "{currency}",
            "as_of": "{at}",
            "reason": "Order {order}",
        },
        {
            "when": {"type": "return"},
            "event": "return",
            "reference": "order:{order}",
            "refund": "{id}",
            "amount": "{amount}",
        },
        {
            "when": {"type": "contact"},
            "event": "contact",
            "contact": "{contact}",
            "family": "{family}",
            "phone": "{phone}",
            "name": "{name}",
            "email": "{email}",
        },
        {
            "when": {"type": "join"},
            "event": "card",
            "contact": "{contact}",
            "family": "{family}",
            "phone": "{phone}",
            "name": "{name}",
            "opening_points": "50",
        },
    ]
}


@dataclass
class Sender:
    """A system that signs and delivers events, and somebody who looks what became of them."""

    client: httpx2.AsyncClient
    services: Services
    program: Program
    source: Source
    secret: str
    sent: int = 0
    ids: list[str] = field(default_factory=list)

    async def deliver(self, event_id: str | None = None, **event: Any) -> int:
        """Deliver one event under a new id, or this one; the status of the answer."""
        self.sent += 1
        event_id = event_id or f"evt_{self.sent}"
        body = json.dumps(event).encode()
        headers = standard_webhooks.headers(event_id, body, [self.secret], now=self.services.clock())
        answer = await self.client.post(
            f"/hooks/{self.source.slug}",
            content=body,
            headers=headers | {"Content-Type": "application/json"},
        )
        return answer.status_code

    async def work(self) -> None:
        """Handle everything that waits."""
        async with self.services.sessions() as session:
            waiting = select(InboundEvent.id).where(InboundEvent.state == "received")
            ids = (await session.scalars(waiting.order_by(InboundEvent.id))).all()
        for each in ids:
            await handle_inbound(self.services, {"event_id": each})

    async def tell(self, **event: Any) -> InboundEvent:
        """Deliver an event and handle it; what became of it."""
        assert await self.deliver(**event) == 202
        await self.work()
        return (await self.inbox())[-1]

    async def inbox(self) -> list[InboundEvent]:
        async with self.services.sessions() as session:
            return list(await session.scalars(select(InboundEvent).order_by(InboundEvent.id)))

    async def balance(self, phone: str = PHONE) -> int:
        async with self.services.sessions() as session:
            query = select(Account.balance).where(Account.program_id == self.program.id)
            return (await session.scalars(query.where(Account.phone == phone))).one()


@pytest.fixture
async def sender(client: httpx2.AsyncClient, services: Services) -> Sender:
    """A signed source of a programme that gives 5 % and has one member, Anna, with PHONE."""
    async with services.sessions.begin() as session:
        program = await make_program(session)
        tier = await make_tier(session, program, code="basic", threshold=0, rate_basis_points=500)
        account = await make_account(session, program, phone=PHONE, tier_id=tier.id)
        await make_member(session, account, name="Анна Петрова", card_number="4000123")
        source, secret = await sources.add(
            session,
            services.secret_key,
            program.id,
            CRMS["generic"],
            kind="generic",
            slug="shop",
            settings=MAPPING,
            now=NOON,
        )
    return Sender(client, services, program, source, secret)
