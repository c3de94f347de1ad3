"""A chess school on Bitrix24: the program on a socket, the simulated portal on another, jobs run at once."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import select, text

from app.crm.bitrix24 import source as bitrix24
from app.errors import TemporaryFailure
from app.inbox import handle, sources
from app.inbox.models import InboundEvent, Source
from app.jobs.table import handlers
from app.main import create_app
from app.members.models import Account, Member, Message, Program
from app.points.models import Entry
from app.settings import Settings
from app.simulators.bitrix24 import Contact, Deal, Limits, Portal, running
from app.simulators.serving import serve
from app.wallets.apple.dev_ca import DevelopmentCa
from app.wiring import Services
from tests.conftest import ManualClock
from tests.make import make_program, make_tier

SLUG = "school"
EVENTS = (
    "ONCRMDEALADD",
    "ONCRMDEALUPDATE",
    "ONCRMDEALDELETE",
    "ONCRMCONTACTADD",
    "ONCRMCONTACTUPDATE",
)
ROUNDS_MAX = 6
FIELDS = {f"UF_CRM_PASSBELL_{name}": {} for name in ("CARD", "LINK", "BALANCE", "TIER")}


@dataclass
class School:
    """The school's portal, its programme here, and somebody who lets both work until nothing moves."""

    portal: Portal
    services: Services
    program: Program
    source: Source
    url: str
    clock: ManualClock
    http: httpx2.AsyncClient
    failures: list[Exception] = field(default_factory=list)

    @property
    def hook(self) -> str:
        return f"{self.url}/hooks/{SLUG}"

    def add_client(
        self, name: str = "Анна Петрова", phone: str = "8 (916) 123-45-67", **more: Any
    ) -> Contact:
        return self.portal.add_contact(name, phone, **more)

    async def issue(self, contact: Contact) -> None:
        """Give a contact a card, as a manager does with a robot on a stage."""
        self.portal.run_webhook_robot(
            f"{self.hook}/{self.portal.application_token}?do=issue", f"CONTACT_{contact.id}"
        )
        await self.settle()

    async def install(self) -> None:
        """Install the local application, whose handler ends with the source's secret."""
        self.portal.install(f"{self.hook}/{self.portal.application_token}")
        await self.settle()

    async def settle(self) -> None:
        """Deliver what the portal has to say and do what follows, until nothing is left."""
        for _ in range(ROUNDS_MAX):
            self.clock.tick()
            await self.portal.calls.deliver()
            if not await self.work():
                return
        raise AssertionError("it never ends")

    async def work(self) -> int:
        """Run every job that waits, each once; how many there were. What failed is in `failures`."""
        done = 0
        table = handlers(self.services)
        while jobs := await self._take_jobs():
            for kind, args in jobs:
                done += 1
                try:
                    await table[kind].handler(args)
                except TemporaryFailure as failure:
                    self.failures.append(failure)
                    await self._give_up(kind, args)
        return done

    async def run(self, kind: str, **args: Any) -> None:
        """One job, as its worker runs it."""
        await handlers(self.services)[kind].handler({"source_id": self.source.id} | args)

    async def _take_jobs(self) -> list[tuple[str, Mapping[str, Any]]]:
        async with self.services.sessions.begin() as session:
            rows = (
                await session.execute(text("SELECT id, entrypoint, payload FROM pgqueuer ORDER BY id"))
            ).all()
            await session.execute(text("DELETE FROM pgqueuer"))
        return [(row.entrypoint, orjson.loads(row.payload)) for row in rows if row.entrypoint != "push_apple"]

    async def _give_up(self, kind: str, args: Mapping[str, Any]) -> None:
        """As after the last attempt: a worker would wait for hours."""
        on_hold = handlers(self.services)[kind].on_hold
        if on_hold is not None:
            await on_hold(args)

    async def balance(self, phone: str = "+79161234567") -> int:
        async with self.services.sessions() as session:
            query = select(Account.balance).where(Account.program_id == self.program.id)
            return await session.scalar(query.where(Account.phone == phone)) or 0

    async def entries(self) -> list[Entry]:
        async with self.services.sessions() as session:
            return list(await session.scalars(select(Entry).order_by(Entry.id)))

    async def members(self) -> list[Member]:
        async with self.services.sessions() as session:
            return list(await session.scalars(select(Member).order_by(Member.id)))

    async def texts(self) -> list[Message]:
        async with self.services.sessions() as session:
            return list(await session.scalars(select(Message).order_by(Message.id)))

    async def resting(self) -> list[InboundEvent]:
        async with self.services.sessions() as session:
            query = select(InboundEvent).where(InboundEvent.state == "rested").order_by(InboundEvent.id)
            return list(await session.scalars(query))

    async def replay(self) -> None:
        async with self.services.sessions.begin() as session:
            await handle.replay_all(session, self.program.id)
        await self.settle()

    async def change_settings(self, **values: Any) -> None:
        async with self.services.sessions.begin() as session:
            source = await session.get_one(Source, self.source.id)
            source.settings = source.settings | values

    def said(self, method: str) -> list[Mapping[str, Any]]:
        """What we called the portal with."""
        return [each.params for each in self.portal.sent if each.method == method]

    def won(self, amount: int | str, contact: Contact, **more: Any) -> Deal:
        deal = self.portal.add_deal(amount, contact, **more)
        self.portal.win(deal)
        return deal


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
async def school(
    database_url: str, tmp_path: Path, development_ca: DevelopmentCa, clock: ManualClock
) -> AsyncIterator[School]:
    """The school's programme gives 5 %, from 1,000 points 7 %; its portal is connected by webhooks."""
    port = _free_port()
    settings = Settings(
        mode="demo",
        public_url=f"http://127.0.0.1:{port}",
        database_url=database_url,
        data_dir=tmp_path / "data",
        worker=False,
        apple_certificate_path=development_ca.leaf.certificate_path,
        apple_private_key_path=development_ca.leaf.private_key_path,
        apple_wwdr_certificate_path=development_ca.wwdr.certificate_path,
        _env_file=None,
    )
    portal = Portal(clock=clock, limits=Limits(bucket=10_000))
    portal.userfields = dict(FIELDS)
    app = create_app(settings, clock=clock)
    async with AsyncExitStack() as stack:
        portal_url = await stack.enter_async_context(running(portal))
        url = await stack.enter_async_context(serve(app, port=port))
        services: Services = app.state.services
        async with services.sessions.begin() as session:
            program, source = await connect(session, services, portal, portal_url, clock)
        for event in EVENTS:
            portal.subscribe(event, f"{url}/hooks/{SLUG}")
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=20))
        yield School(portal, services, program, source, url, clock, http)


async def connect(session, services: Services, portal: Portal, portal_url: str, clock: ManualClock):
    program = await make_program(session, slug=SLUG, name="Шахматная школа", language="ru")
    await make_tier(
        session,
        program,
        code="basic",
        threshold=0,
        rate_basis_points=500,
        names={"ru": "Базовый", "en": "Basic"},
    )
    await make_tier(
        session,
        program,
        code="gold",
        threshold=1000,
        rate_basis_points=700,
        names={"ru": "Золото", "en": "Gold"},
    )
    source, _ = await sources.add(
        session,
        services.secret_key,
        program.id,
        bitrix24,
        kind=bitrix24.KIND,
        slug=SLUG,
        settings={
            "portal_url": portal_url,
            "oauth_url": f"{portal_url}/oauth/token/",
            "client_id": portal.app.client_id,
            "opening_points": 500,
            "requests_at_once": 1000,
        },
        secret=portal.application_token,
        now=clock(),
    )
    kept = sources.read_secrets(services.secret_key, source)
    kept[bitrix24.WEBHOOK_URL] = f"{portal_url}/rest/{portal.webhook_user}/{portal.webhook_secret}/"
    kept[bitrix24.CLIENT_SECRET] = portal.app.client_secret
    sources.write_secrets(services.secret_key, source, kept)
    await session.flush()
    return program, source
