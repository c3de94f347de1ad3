"""The phone itself: adds passes, registers, hears pushes, asks, fetches, and shows what changed."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import httpx2
from cryptography import x509

from app.clock import Clock, utc_now
from app.simulators.iphone.opening import OpenedPass, RefusedPass, open_pass, open_unchecked
from app.simulators.iphone.showing import Notification, notification

PKPASS = "application/vnd.apple.pkpass"
USER_AGENT = "passd/1.0 (simulated)"
# iOS tries again with growing delays and then gives up; how long it waits is not published.
RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)

# (push token, what to call with each push) -> a way to stop. ApnsSimulator.on_push is one.
SubscribePushes = Callable[[str, Callable[[Any], None]], Callable[[], None]]
Wait = Callable[[float], Awaitable[None]]


class ServerUnreachable(Exception):
    """The server did not answer, or only with 5xx, however often the phone tried."""


@dataclass
class InstalledPass:
    """A pass in Wallet. `fetches` counts the versions received, the first one included."""

    opened: OpenedPass
    last_modified: str | None
    fetches: int = 1


class IPhone:
    """One phone with a Wallet. Everything it shows is in `passes`, `notifications` and `log`.

    `headless` is for thousands of them in a benchmark: it follows the protocol, but checks and keeps
    nothing of what is inside a pass, so it shows no notifications.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        trusted: x509.Certificate,
        subscribe_pushes: SubscribePushes,
        device_library_identifier: str | None = None,
        push_token: str | None = None,
        locale: str = "ru",
        clock: Clock = utc_now,
        wait: Wait = asyncio.sleep,
        headless: bool = False,
    ) -> None:
        self.device_library_identifier = device_library_identifier or secrets.token_hex(16)
        self.push_token = push_token or secrets.token_hex(32)
        self.locale = locale
        self.passes: dict[str, InstalledPass] = {}  # by serial number
        self.notifications: list[Notification] = []
        self.log: list[str] = []  # what it complained about, to /v1/log too
        self.tags: dict[tuple[str, str], str] = {}  # by web service and pass type
        self.updates_automatically = True
        self._http, self._trusted, self._clock, self._wait = http, trusted, clock, wait
        self._subscribe = subscribe_pushes
        self._stop_pushes: Callable[[], None] | None = None
        self._is_headless = headless
        self._changed = asyncio.Condition()
        self._asking: set[str] = set()
        self._asked_again: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Switch the phone off; what it holds stays registered."""
        self._stop_listening()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait_for(self, predicate: Callable[["IPhone"], bool], *, timeout_seconds: float = 10) -> None:
        """Wait until something is true of this phone; looked at after each change. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds), self._changed:
            await self._changed.wait_for(lambda: predicate(self))

    # What a person does.

    async def add(self, url: str) -> InstalledPass:
        """Open a link to a .pkpass and tap Add. Raises RefusedPass, with the reason iOS keeps to itself."""
        answer = await self._http.get(url, headers={"User-Agent": USER_AGENT}, follow_redirects=True)
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status_code != 200 or kind != PKPASS:
            raise RefusedPass(f"Safari does not open it: {answer.status_code} {kind}")
        installed = InstalledPass(self._open(answer.content), answer.headers.get("last-modified"))
        self.passes[installed.opened.serial_number] = installed
        if self.updates_automatically and installed.opened.web_service_url:
            self._listen()
            await self._register(installed.opened)
        await self._tell_waiters()
        return installed

    async def remove(self, serial_number: str) -> None:
        """Delete a pass, and say so to its server."""
        installed = self.passes.pop(serial_number)
        if self.updates_automatically and installed.opened.web_service_url:
            await self._unregister(installed.opened)
        if not self.passes:
            self._stop_listening()
        await self._tell_waiters()

    async def set_automatic_updates(self, wanted: bool) -> None:
        """The switch on a pass's back, here for all passes: off unregisters, on registers and fetches."""
        self.updates_automatically = wanted
        updating = [each for each in self.passes.values() if each.opened.web_service_url]
        if not wanted:
            self._stop_listening()
            for each in updating:
                await self._unregister(each.opened)
            return
        for each in updating:
            self._listen()
            await self._register(each.opened)
            await self._fetch(each)

    def is_grey(self, serial_number: str) -> bool:
        """Whether Wallet shows the pass as used up: voided, or past its date."""
        return self.passes[serial_number].opened.is_grey(self._clock())

    # What a push makes it do.

    def on_push(self, push: Any) -> None:
        """A push for the pass type `push.topic` arrived: ask what changed. Several at once ask once more."""
        topic: str = push.topic
        if topic in self._asking:
            self._asked_again.add(topic)
            return
        self._asking.add(topic)
        task = asyncio.create_task(self._update(topic))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _update(self, topic: str) -> None:
        try:
            while True:
                self._asked_again.discard(topic)
                await self.ask(topic)
                if topic not in self._asked_again:
                    return
        finally:
            self._asking.discard(topic)
            await self._tell_waiters()

    async def ask(self, pass_type_identifier: str) -> None:
        """Ask every server of a pass type what changed, and fetch that."""
        urls = {
            each.opened.web_service_url
            for each in self.passes.values()
            if each.opened.pass_type_identifier == pass_type_identifier
        }
        for url in sorted(url for url in urls if url):
            try:
                await self._ask(url, pass_type_identifier)
            except ServerUnreachable as error:
                self.log.append(str(error))

    async def _ask(self, url: str, pass_type: str) -> None:
        tag = self.tags.get((url, pass_type))
        device = quote(self.device_library_identifier, safe="")
        path = f"/devices/{device}/registrations/{quote(pass_type, safe='')}"
        task = (
            f"Get serial #s task (for device {self.device_library_identifier}, pass type {pass_type}, "
            f"last updated {tag or '(null)'}; with web service url {url})"
        )
        params = {"passesUpdatedSince": tag} if tag else None
        answer = await self._send("GET", url, path, task, params=params)
        if answer.status_code == 204:
            return
        if answer.status_code != 200:
            await self._complain(url, _unexpected(task, answer))
            return
        serials, updated = _changes(answer)
        if serials is None or updated is None:
            await self._complain(url, f"{task} encountered error: Received invalid serial numbers data")
            return
        if serials and updated == tag:
            await self._complain(
                url,
                f"Response to 'What changed?' request included {len(serials)} serial numbers "
                f"but the lastUpdated tag ({updated}) remained the same.",
            )
        for serial_number in serials:
            if serial_number in self.passes:
                await self._fetch(self.passes[serial_number])
        self.tags[url, pass_type] = updated

    async def _fetch(self, installed: InstalledPass) -> None:
        held = installed.opened
        url = held.web_service_url or ""
        since = installed.last_modified
        path = f"/passes/{quote(held.pass_type_identifier, safe='')}/{quote(held.serial_number, safe='')}"
        task = (
            f"Get pass task (pass type {held.pass_type_identifier}, serial number {held.serial_number}, "
            f"if-modified-since {since or '(null)'}; with web service url {url})"
        )
        condition = {"If-Modified-Since": since} if since else {}
        answer = await self._send("GET", url, path, task, headers=_authorized(held) | condition)
        if answer.status_code == 304:
            return
        if answer.status_code != 200:
            await self._complain(url, _unexpected(task, answer))
            return
        try:
            new = held if self._is_headless else self._opened_update(held, answer)
        except RefusedPass as error:
            await self._complain(url, f"{task} encountered error: Received invalid pass data ({error})")
            return
        await self._replace(installed, new, answer.headers.get("last-modified"))

    def _opened_update(self, held: OpenedPass, answer: httpx2.Response) -> OpenedPass:
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind != PKPASS:
            raise RefusedPass(f"content type {kind}")
        new = self._open(answer.content)
        for what in ("pass_type_identifier", "serial_number", "authentication_token"):
            if getattr(new, what) != getattr(held, what):
                raise RefusedPass(f"{what} may not change")
        return new

    async def _replace(self, installed: InstalledPass, new: OpenedPass, last_modified: str | None) -> None:
        shown = None if self._is_headless else notification(installed.opened, new, self.locale)
        installed.opened, installed.last_modified = new, last_modified
        installed.fetches += 1
        if shown is not None:
            self.notifications.append(shown)
        await self._tell_waiters()

    def _open(self, data: bytes) -> OpenedPass:
        if self._is_headless:
            return open_unchecked(data)
        return open_pass(data, trusted=self._trusted, now=self._clock())

    # What it says to the server.

    async def _register(self, opened: OpenedPass) -> None:
        sent = {"pushToken": self.push_token}
        task = f"Register task ({self._registration(opened)}; with web service url {opened.web_service_url})"
        await self._send_registration("POST", opened, task, (200, 201), json=sent)

    async def _unregister(self, opened: OpenedPass) -> None:
        task = (
            f"Unregister task ({self._registration(opened)}; with web service url {opened.web_service_url})"
        )
        await self._send_registration("DELETE", opened, task, (200,))

    async def _send_registration(
        self, method: str, opened: OpenedPass, task: str, wanted: tuple[int, ...], **request: Any
    ) -> None:
        url = opened.web_service_url or ""
        parts = (
            self.device_library_identifier,
            "registrations",
            opened.pass_type_identifier,
            opened.serial_number,
        )
        path = "/devices/" + "/".join(quote(part, safe="") for part in parts)
        try:
            answer = await self._send(method, url, path, task, headers=_authorized(opened), **request)
        except ServerUnreachable as error:
            self.log.append(str(error))
            return
        if answer.status_code not in wanted:
            await self._complain(url, _unexpected(task, answer))

    def _registration(self, opened: OpenedPass) -> str:
        return (
            f"for device {self.device_library_identifier}, pass type {opened.pass_type_identifier}, "
            f"serial number {opened.serial_number}"
        )

    async def _send(self, method: str, url: str, path: str, task: str, **request: Any) -> httpx2.Response:
        """The answer of a web service below 500, tried again with growing waits. Raises ServerUnreachable."""
        headers = {"User-Agent": USER_AGENT} | request.pop("headers", {})
        failure = ""
        for seconds in (*RETRY_SECONDS, None):
            try:
                answer = await self._http.request(
                    method, f"{url.rstrip('/')}/v1{path}", headers=headers, **request
                )
            except httpx2.TransportError as error:
                failure = f"{task} encountered error: {type(error).__name__}"
            else:
                if answer.status_code < 500:
                    return answer
                failure = _unexpected(task, answer)
                await self._complain(url, failure)
            if seconds is not None:
                await self._wait(seconds)
        raise ServerUnreachable(failure)

    async def _complain(self, url: str, line: str) -> None:
        """Write to the phone's log, and to the server's: its operator's only diagnosis from afar."""
        self.log.append(line)
        try:
            await self._http.post(f"{url.rstrip('/')}/v1/log", json={"logs": [line]})
        except httpx2.TransportError as error:
            self.log.append(f"the log could not be sent: {type(error).__name__}")
        await self._tell_waiters()

    def _listen(self) -> None:
        if self._stop_pushes is None:
            self._stop_pushes = self._subscribe(self.push_token, self.on_push)

    def _stop_listening(self) -> None:
        if self._stop_pushes is not None:
            self._stop_pushes()
            self._stop_pushes = None

    async def _tell_waiters(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _authorized(opened: OpenedPass) -> dict[str, str]:
    return {"Authorization": f"ApplePass {opened.authentication_token}"}


def _unexpected(task: str, answer: httpx2.Response) -> str:
    return f"{task} encountered error: Unexpected response code {answer.status_code}"


def _changes(answer: httpx2.Response) -> tuple[list[str] | None, str | None]:
    """The serial numbers and the tag of an answer, None for what is not as the contract has it."""
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return None, None
    try:
        sent = answer.json()
    except ValueError:
        return None, None
    if not isinstance(sent, dict):
        return None, None
    told = cast("dict[str, Any]", sent)
    serials, updated = told.get("serialNumbers"), told.get("lastUpdated")
    if not isinstance(serials, list) or not isinstance(updated, str):
        return None, None
    return [str(serial) for serial in cast("list[Any]", serials)], updated
