"""The main story from end to end: a form, an SMS, a card on a phone, and every change rings it.

Real sockets everywhere: the program, Apple's push service, the SMS gateway; the phones verify what they get.
"""

import asyncio
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
from app.members.models import Member, Notice
from app.passes.models import Registration
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


async def test_a_customer_enrols_gets_the_card_by_sms_and_every_change_rings_the_phone(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        assert (await town.enrol()).status_code == 303
        link = await town.link(inbox)
    phone = await town.phone()
    assert (await town.http.get(link)).status_code == 200
    card = await phone.add(f"{link}/card.pkpass")
    member = await town.member("Анна Петрова")
    assert shown(phone, "balance") == "50"

    earned = await town.post(member.account_id, "till-1", kind="earn", points=300, reason="Покупка")
    await phone.wait_for(lambda each: shown(each, "balance") == "350")
    await town.post(member.account_id, "till-2", kind="redeem", points=100, reason="Капучино")
    await phone.wait_for(lambda each: shown(each, "balance") == "250")

    assert earned.status_code == 201
    assert rung(phone) == ["На вашем счёте баллов: 350", "На вашем счёте баллов: 250"]
    await phone.remove(card.opened.serial_number)
    async with town.services.sessions() as session:
        assert (await session.scalars(select(Registration))).all() == []
        (notice,) = (await session.scalars(select(Notice))).all()
    assert notice.details["name"] == "Анна Петрова"
    assert phone.log == []


async def test_mother_and_child_share_one_balance_and_each_phone_rings_once(town):
    phones = []
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        for name in ("Анна Петрова", "Миша Петров"):
            await forget_limits(town)
            await town.enrol(name=name)
            phone = await town.phone()
            await phone.add(f"{await town.link(inbox)}/card.pkpass")
            phones.append(phone)
    mother, child = await town.member("Анна Петрова"), await town.member("Миша Петров")
    assert mother.account_id == child.account_id

    await town.post(mother.account_id, "till-1", kind="earn", points=30, reason="Чай")
    for phone in phones:
        await phone.wait_for(lambda each: shown(each, "balance") == "80")

    assert [len(rung(phone)) for phone in phones] == [1, 1]


async def test_a_known_number_is_answered_like_a_new_one(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        new = await town.enrol()
        first = await town.link(inbox)
        await forget_limits(town)
        known = await town.enrol()
        second = await town.link(inbox)

    assert (new.status_code, new.headers["location"], new.content) == (
        known.status_code,
        known.headers["location"],
        known.content,
    )
    assert first != second  # both lead to the one card
    cards = {
        (await (await town.phone()).add(f"{link}/card.pkpass")).opened.serial_number
        for link in (first, second)
    }
    assert len(cards) == 1


async def test_a_voided_pass_turns_grey_on_the_phone(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        await town.enrol()
        phone = await town.phone()
        card = await phone.add(f"{await town.link(inbox)}/card.pkpass")
    headers = {"Authorization": f"Bearer {town.key}", "Idempotency-Key": "void-1"}
    (issued,) = (
        await town.http.get(
            "/api/v1/passes",
            params={"member_id": (await town.member("Анна Петрова")).id},
            headers=headers,
        )
    ).json()["data"]

    voided = await town.http.post(
        f"/api/v1/passes/{issued['id']}/void", json={"reason": "lost phone"}, headers=headers
    )
    await phone.wait_for(lambda each: each.is_grey(card.opened.serial_number))

    assert voided.status_code == 200


async def test_the_trace_tells_the_whole_story_in_order(town):
    async with town.world.sms.inbox(MOTHERS_NUMBER) as inbox:
        await town.enrol()
        phone = await town.phone()
        link = await town.link(inbox)
        await town.http.get(link)
        await phone.add(f"{link}/card.pkpass")
    member = await town.member("Анна Петрова")
    await town.post(member.account_id, "till-1", kind="earn", points=1, reason="x")
    await phone.wait_for(lambda each: shown(each, "balance") == "51")
    headers = {"Authorization": f"Bearer {town.key}"}
    (issued,) = (
        await town.http.get("/api/v1/passes", params={"member_id": member.id}, headers=headers)
    ).json()["data"]

    kinds: list[str] = []
    async with asyncio.timeout(30):
        # Both are written a moment later: what phones fetch in bulk, a push when its answer is in.
        while not {"push_accepted", "fetched"} <= set(kinds):
            trace = (await town.http.get(f"/api/v1/passes/{issued['id']}/trace", headers=headers)).json()
            kinds = [each["kind"] for each in trace["events"]]

    assert [kind for kind in kinds if kind != "asked"] == [
        "issued",
        "link_opened",
        "downloaded",
        "installed",
        "changed",
        "push_accepted",
        "fetched",
    ]


async def forget_limits(town: Town) -> None:
    """As if the minute in which one number gets one SMS were over."""
    async with town.services.sessions.begin() as session:
        await session.execute(delete(RateLimit))
