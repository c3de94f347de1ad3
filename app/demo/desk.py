"""The demo desk: two iPhones and an Android phone, the SMS that reach them, pages that watch them live."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import orjson

from app import tls
from app.demo.android import DemoAndroid
from app.demo.phones import DemoPhone
from app.demo.portal import DemoPortal, open_portals
from app.demo.seed import seed
from app.simulators.android import AndroidPhone
from app.simulators.iphone import IPhone
from app.simulators.sms_gateway import PhoneSms, SmsGateway
from app.simulators.world import World
from app.wiring import Services, receipt_token

IPHONES = ("one", "two")
ANDROID = "three"
KEEP_ALIVE_SECONDS = 15.0  # a comment line, so that nothing between takes the silence for the end


class UnknownPhone(Exception):
    """The desk has no phone of this name."""


AnyPhone = DemoPhone | DemoAndroid


class Desk:
    """The phones, the API keys and portals of the programmes, and the open event streams."""

    def __init__(
        self, phones: dict[str, AnyPhone], keys: dict[str, str], portals: Mapping[str, DemoPortal]
    ) -> None:
        self.phones = phones
        self.keys = keys  # by programme slug, for the till
        self.portals = portals  # by programme slug
        self._streams: set[asyncio.Queue[bytes | None]] = set()

    def phone(self, name: str) -> AnyPhone:
        """The phone of this name. Raises UnknownPhone."""
        if name not in self.phones:
            raise UnknownPhone(name)
        return self.phones[name]

    def take_number(self, phone: AnyPhone, number: str) -> None:
        """A number typed on a phone is that phone's, unless another has it already."""
        if not any(number in each.numbers for each in self.phones.values()):
            phone.numbers.append(number)

    def deliver(self, sms: PhoneSms) -> None:
        """Hand a text to the phone with its number; one nobody has typed goes to the first phone."""
        holders = [each for each in self.phones.values() if sms.recipient in each.numbers]
        phone = holders[0] if holders else self.phones[IPHONES[0]]
        phone.receive(sms)
        self.show(phone)

    def show(self, phone: AnyPhone) -> None:
        """Send a phone's state to every page that watches."""
        self._send("phone", phone.state())

    def stir(self) -> None:
        """Tell the pages that something may have changed in Passbell: they look again."""
        self._send("changed", {})

    async def stream(self) -> AsyncIterator[bytes]:
        """Server-sent events for one page: first the state of each phone, then every change."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for phone in self.phones.values():
            queue.put_nowait(_event("phone", phone.state()))
        self._streams.add(queue)
        try:
            while (event := await _next(queue)) is not None:
                yield event
        finally:
            self._streams.discard(queue)

    def close_streams(self) -> None:
        """End every page's stream: the process is about to stop."""
        for queue in self._streams:
            queue.put_nowait(None)

    def _send(self, name: str, data: dict[str, Any]) -> None:
        event = _event(name, data)
        for queue in self._streams:
            queue.put_nowait(event)


@asynccontextmanager
async def open_desk(world: World, services: Services) -> AsyncGenerator[Desk]:
    """Seed the programmes and switch the phones on."""
    async with services.sessions.begin() as session:
        keys = await seed(session, now=services.clock())
    settings = services.settings
    world.sms.receipt_url = f"{settings.public_url}/hooks/sms/{receipt_token(settings, services.secret_key)}"
    async with AsyncExitStack() as stack:
        phones: dict[str, AnyPhone] = {}
        iphones: list[DemoPhone] = []
        for name in IPHONES:
            http = await stack.enter_async_context(_client())
            iphone = IPhone(
                http,
                trusted=world.ca.wwdr.certificate,
                subscribe_pushes=world.apns.on_push,
                clock=services.clock,
            )
            opened = await stack.enter_async_context(iphone)
            iphones.append(DemoPhone(name, opened, clock=services.clock))
            phones[name] = iphones[-1]
        http = await stack.enter_async_context(_client())
        android = AndroidPhone(http, world.google, "demo", clock=services.clock)
        phones[ANDROID] = DemoAndroid(ANDROID, android, clock=services.clock)
        portals = await stack.enter_async_context(open_portals(services))
        desk = Desk(phones, keys, portals)
        tasks = [asyncio.create_task(_listen(desk, world.sms), name="demo-sms")]
        tasks += [asyncio.create_task(_watch(desk, phone), name="demo-phone") for phone in iphones]
        tasks.append(asyncio.create_task(_watch_android(desk, phones[ANDROID], android), name="demo-android"))
        stack.push_async_callback(_cancel, tasks)
        yield desk


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(verify=tls.outside(), trust_env=False, timeout=10)


async def _listen(desk: Desk, gateway: SmsGateway) -> None:
    async with gateway.every_inbox() as inbox:
        while True:
            desk.deliver(await inbox.get())


async def _watch(desk: Desk, phone: DemoPhone) -> None:
    while True:
        seen = phone.fingerprint()
        await phone.iphone.wait_for(lambda _: phone.fingerprint() != seen, timeout_seconds=float("inf"))  # noqa: B023
        desk.show(phone)


async def _watch_android(desk: Desk, phone: AnyPhone, android: AndroidPhone) -> None:
    while True:
        await android.wait()
        desk.show(phone)
        desk.stir()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _next(queue: asyncio.Queue[bytes | None]) -> bytes | None:
    try:
        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
            return await queue.get()
    except TimeoutError:
        return b": still here\n\n"


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))
