"""Thousands of phones that do nothing but what Wallet does on a push: ask what is new, fetch it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import orjson

from app.passes.issue import authentication_token
from app.simulators.apns import ApnsSimulator, Push
from app.simulators.world import PASS_TYPE_IDENTIFIER
from tests.flows.crowd import Crowd, Holder
from tests.flows.server import Server
from tests.flows.wire import Answer, Wire

CONNECTIONS = 8
REGISTRATIONS = "/apple/v1/devices/{device}/registrations/" + PASS_TYPE_IDENTIFIER
PASS = f"/apple/v1/passes/{PASS_TYPE_IDENTIFIER}/"
AGAIN_SECONDS = 0.1  # after an answer that asks to try again


@dataclass
class Phone:
    """A phone with one pass: what it holds, and whether it has been told to ask."""

    holder: Holder
    authorization: str
    version: int = 1
    tag: str | None = None
    last_modified: str | None = None
    is_told: bool = False


class Phones:
    """The crowd's phones, on a few connections. What breaks is tried again when the server is back."""

    def __init__(
        self,
        server: Server,
        crowd: Crowd,
        secret_key: bytes,
        *,
        on_fetch: Callable[[Phone], None] = lambda _phone: None,
        busy: frozenset[int] = frozenset(),
    ) -> None:
        """What is answered with a status in `busy` is asked again."""
        self._server = server
        self._busy = busy
        self._on_fetch = on_fetch
        self._told: asyncio.Queue[Phone] = asyncio.Queue()
        self._changed = asyncio.Event()
        self.phones = {
            holder.pass_id: Phone(
                holder, f"ApplePass {authentication_token(secret_key, holder.serial_number)}"
            )
            for holder in crowd.holders
        }

    def listen(self, apns: ApnsSimulator) -> None:
        for phone in self.phones.values():
            apns.on_push(phone.holder.push_token, lambda _push, phone=phone: self._tell(phone, _push))

    async def wait_until_at(self, newest: Mapping[str, int]) -> None:
        """Return when every phone holds the version given for its pass."""
        while any(self.phones[pass_id].version < version for pass_id, version in newest.items()):
            self._changed.clear()
            await self._changed.wait()

    def behind(self, newest: Mapping[str, int]) -> list[str]:
        return [pass_id for pass_id, version in newest.items() if self.phones[pass_id].version != version]

    def _tell(self, phone: Phone, _push: Push) -> None:
        if not phone.is_told:
            phone.is_told = True
            self._told.put_nowait(phone)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._answer_pushes())

    async def _answer_pushes(self) -> None:
        async with Wire(self._server.url) as wire:
            while True:
                phone = await self._told.get()
                phone.is_told = False  # a push from now on means to ask again
                await self._update(wire, phone)
                self._changed.set()

    async def _update(self, wire: Wire, phone: Phone) -> None:
        path = REGISTRATIONS.format(device=phone.holder.device)
        asked = await self._get(wire, path + (f"?passesUpdatedSince={phone.tag}" if phone.tag else ""))
        if asked.status == 204:
            return
        assert asked.status == 200, asked
        changes = orjson.loads(asked.body)
        phone.tag = changes["lastUpdated"]
        if phone.holder.serial_number in changes["serialNumbers"]:
            await self._fetch(wire, phone)

    async def _fetch(self, wire: Wire, phone: Phone) -> None:
        headers = {"Authorization": phone.authorization}
        if phone.last_modified:
            headers["If-Modified-Since"] = phone.last_modified
        answer = await self._get(wire, PASS + phone.holder.serial_number, headers)
        if answer.status == 304:
            return
        assert answer.status == 200, answer
        version = int(answer.headers["etag"].removeprefix('W/"').removesuffix('"'))
        assert version >= phone.version, "a phone never goes back"
        phone.version, phone.last_modified = version, answer.headers["last-modified"]
        self._on_fetch(phone)

    async def _get(self, wire: Wire, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        while True:
            await self._server.ready.wait()
            try:
                answer = await wire.send("GET", path, headers=headers)
            except ConnectionError:
                continue
            if answer.status not in self._busy:
                return answer
            await asyncio.sleep(AGAIN_SECONDS)


@asynccontextmanager
async def switched_on(phones: Phones, apns: ApnsSimulator) -> AsyncGenerator[None]:
    """The phones answer pushes for as long as the block runs."""
    phones.listen(apns)
    running = asyncio.create_task(phones.run())
    body = asyncio.current_task()
    assert body is not None
    running.add_done_callback(lambda task: None if task.cancelled() else body.cancel())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
