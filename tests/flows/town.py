"""The running program and everybody around it: what the stories are told in."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import delete, select

from app.clock import utc_now
from app.demo.seed import seed
from app.main import create_app
from app.members.models import Member
from app.rate_limits import RateLimit
from app.settings import Settings
from app.simulators.iphone import IPhone
from app.simulators.serving import serve
from app.simulators.world import World
from app.wiring import Services

MOTHERS_NUMBER = "+79161234567"
FILLED = {"name": "Анна Петрова", "phone": "8 (916) 123-45-67", "consent_personal_data": "2026-11-01"}


@dataclass
class Town:
    """The running program and everybody around it."""

    url: str
    services: Services
    world: World
    key: str
    http: httpx2.AsyncClient
    stack: AsyncExitStack

    async def phone(self, locale: str = "ru") -> IPhone:
        http = await self.stack.enter_async_context(httpx2.AsyncClient(base_url=self.url))
        phone = IPhone(
            http,
            trusted=self.world.ca.root.certificate,
            subscribe_pushes=self.world.apns.on_push,
            locale=locale,
        )
        return await self.stack.enter_async_context(phone)

    async def enrol(self, **answers: str) -> httpx2.Response:
        return await self.http.post("/join/coffee?lang=ru", data={**FILLED, **answers})

    async def link(self, inbox) -> str:
        """The link of the next SMS."""
        return re.search(r"http\S+", (await inbox.get()).text)[0]

    async def post(self, account_id: str, key: str, **movement: object) -> httpx2.Response:
        return await self.http.post(
            f"/api/v1/accounts/{account_id}/transactions",
            json=movement,
            headers={"Authorization": f"Bearer {self.key}", "Idempotency-Key": key},
        )

    async def member(self, name: str) -> Member:
        async with self.services.sessions() as session:
            return (await session.scalars(select(Member).where(Member.name == name))).one()


@pytest.fixture
async def town(world: World, database_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings.model_validate(
        {
            "database_url": database_url,
            "data_dir": tmp_path,
            "public_url": f"http://127.0.0.1:{port}",
            "worker": True,
            "proof_of_work_cost": 0,
            **world.settings,
        }
    )
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(app, port=port))
        services: Services = app.state.services
        async with services.sessions.begin() as session:
            keys = await seed(session, now=utc_now())
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=20))
        yield Town(url, services, world, keys["coffee"], http, stack)


def shown(phone: IPhone, key: str) -> object:
    (card,) = phone.passes.values()
    return next(each["value"] for each in card.opened.fields() if each["key"] == key)


def rung(phone: IPhone) -> list[str]:
    return [each.text for each in phone.notifications]


async def forget_limits(town: Town) -> None:
    """As if the minute in which one number gets one SMS were over."""
    async with town.services.sessions.begin() as session:
        await session.execute(delete(RateLimit))
