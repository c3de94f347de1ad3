"""A stand-in for Apple's push service: HTTP/2 over TLS on a real socket, for demo, tests, benchmarks.

Contract: Apple, "Sending notification requests to APNs" and "Handling notification responses".
"""

import asyncio
import json
import random
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from app.clock import Clock, utc_now
from app.simulators.apns_rules import fault_in_request
from app.simulators.apns_token import ProviderKey, ProviderTokens
from app.simulators.apns_wire import RESET, SILENCE, Answer, ApnsFaults, ApnsWire

__all__ = ["ApnsAddress", "ApnsFaults", "ApnsSimulator", "ProviderKey", "Push", "server_tls"]

STATUS = {
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
} | dict.fromkeys(
    (
        "BadCertificate",
        "BadCertificateEnvironment",
        "ExpiredProviderToken",
        "Forbidden",
        "InvalidProviderToken",
        "MissingProviderToken",
    ),
    403,
)


class ApnsAddress(NamedTuple):
    """Where the simulator listens."""

    host: str
    port: int


def server_tls(certificate: Path, private_key: Path, *, client_ca: Path | None) -> ssl.SSLContext:
    """The simulator's TLS from PEM files. `client_ca` signs the pass certificates; None for token mode."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.set_alpn_protocols(["h2"])
    tls.load_cert_chain(certificate, private_key)
    if client_ca is not None:
        tls.load_verify_locations(client_ca)
        tls.verify_mode = ssl.CERT_REQUIRED
    return tls


@dataclass(frozen=True)
class Push:
    """A push that was accepted."""

    push_token: str
    topic: str
    apns_id: str
    at: datetime


@dataclass
class PushCounts:
    """What has come in since the start. `coalesced` pushes replaced one that still waited."""

    requests: int = 0
    accepted: int = 0
    refused: int = 0
    delivered: int = 0
    coalesced: int = 0
    connections: int = 0
    refused_connections: int = 0


@dataclass
class _Planned:
    reason: str | None  # None: no answer at all
    times: int | None
    timestamp: datetime | None = None


OnPush = Callable[[Push], None]


class ApnsSimulator:
    """Accepts pushes for `topics` and hands them to whoever listens for the token.

    `tls` is the server's context. With `verify_mode=CERT_REQUIRED` it stands for certificate mode;
    with `provider_key` each request must carry a token of that key instead. `latency_seconds` is
    the time to each answer, or the (shortest, longest) time.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        topics: set[str],
        provider_key: ProviderKey | None = None,
        latency_seconds: float | tuple[float, float] = 0.0,
        faults: ApnsFaults | None = None,
        clock: Clock = utc_now,
        seed: int = 1,
    ) -> None:
        self.tls = tls
        self.topics = topics
        self.faults = faults or ApnsFaults()
        self.provider_tokens = ProviderTokens(provider_key, clock) if provider_key else None
        self.random = random.Random(seed)  # noqa: S311 (it chooses faults)
        self.accepted: list[Push] = []
        self.counts = PushCounts()
        self._latency = (
            latency_seconds if isinstance(latency_seconds, tuple) else (latency_seconds, latency_seconds)
        )
        self._clock = clock
        self._listeners: dict[str, list[OnPush]] = {}
        self._waiting: dict[tuple[str, str], Push] = {}
        self._planned: dict[str, _Planned] = {}
        self.connections: set[ApnsWire] = set()

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[ApnsAddress]:
        """Listen until the end of the block; port 0 takes a free one."""
        server = await asyncio.get_running_loop().create_server(lambda: ApnsWire(self), host, port)
        try:
            address = server.sockets[0].getsockname()
            yield ApnsAddress(address[0], address[1])
        finally:
            server.close()
            for connection in list(self.connections):
                await connection.drop()
            await server.wait_closed()

    # What devices do.

    def on_push(self, push_token: str, callback: OnPush) -> Callable[[], None]:
        """Call `callback` for each push to the token, first for one that waits; returns the way to stop."""
        key = push_token.lower()
        listeners = self._listeners.setdefault(key, [])
        listeners.append(callback)
        for waiting in [place for place in self._waiting if place[0] == key]:
            self._deliver(self._waiting.pop(waiting), [callback])

        def stop() -> None:
            listeners.remove(callback)
            if not listeners:
                self._listeners.pop(key, None)

        return stop

    @asynccontextmanager
    async def device(self, push_token: str) -> AsyncGenerator[asyncio.Queue[Push]]:
        """A device that is connected during the block, as the queue of what it is pushed."""
        queue: asyncio.Queue[Push] = asyncio.Queue()
        stop = self.on_push(push_token, queue.put_nowait)
        try:
            yield queue
        finally:
            stop()

    # What tests plan.

    def unregister(self, push_token: str) -> None:
        """The pass or the app was removed: from now on 410 Unregistered, with the time of this call."""
        self._planned[push_token.lower()] = _Planned("Unregistered", None, self._clock())

    def refuse(self, push_token: str, reason: str, *, times: int | None = None) -> None:
        """Answer pushes to the token with `reason`, for ever or for the next `times`."""
        self._planned[push_token.lower()] = _Planned(reason, times)

    def ignore(self, push_token: str) -> None:
        """Never answer pushes to the token, as if they were lost inside APNs."""
        self._planned[push_token.lower()] = _Planned(None, None)

    # What the wire asks.

    def latency(self) -> float:
        shortest, longest = self._latency
        return shortest if shortest == longest else self.random.uniform(shortest, longest)

    @property
    def starts_with_one_stream(self) -> bool:
        """A connection of token mode has a single stream until its first answer."""
        return self.provider_tokens is not None or self.faults.one_stream_first

    def answer(self, headers: dict[str, str], body: bytes) -> Answer:
        """Judge one request, and deliver the push if it is accepted."""
        apns_id = headers.get("apns-id") or str(uuid4()).upper()
        answer = self._planned_fault(apns_id) or self._judge(headers, body, apns_id)
        self.counts.refused += answer.status != 200
        return answer

    def _planned_fault(self, apns_id: str) -> Answer | None:
        faults, chance = self.faults, self.random.random()
        shares = (
            (faults.reset_share, "reset"),
            (faults.empty_share, "empty"),
            (faults.busy_share, "TooManyRequests"),
            (faults.unavailable_share, "ServiceUnavailable"),
        )
        for share, fault in shares:
            if chance < share:
                special = {"reset": RESET, "empty": Answer(500, apns_id)}
                return special.get(fault) or refusal(fault, apns_id)
            chance -= share
        return None

    def _judge(self, headers: dict[str, str], body: bytes, apns_id: str) -> Answer:
        reason = self._fault_in(headers, body)
        if reason is not None:
            return refusal(reason, apns_id)
        token = headers[":path"].rpartition("/")[2].lower()
        planned = self._take_planned(token)
        if planned is not None:
            if planned.reason is None:
                return SILENCE
            return refusal(planned.reason, apns_id, timestamp=planned.timestamp)
        self._accept(Push(token, headers["apns-topic"], apns_id, self._clock()))
        return Answer(200, apns_id)

    def _fault_in(self, headers: dict[str, str], body: bytes) -> str | None:
        """The token of the provider is judged before the request: a stranger learns nothing from it."""
        if self.provider_tokens is not None:
            refused = self.provider_tokens.fault_in(headers.get("authorization", ""))
            if refused is not None:
                return refused
        return fault_in_request(headers, body, self.topics)

    def _take_planned(self, token: str) -> _Planned | None:
        planned = self._planned.get(token)
        if planned is not None and planned.times is not None:
            planned.times -= 1
            if planned.times <= 0:
                del self._planned[token]
        return planned

    def _accept(self, push: Push) -> None:
        self.accepted.append(push)
        self.counts.accepted += 1
        listeners = self._listeners.get(push.push_token)
        if listeners:
            self._deliver(push, list(listeners))
            return
        # APNs keeps one notification for each device and topic while the device is away.
        place = (push.push_token, push.topic)
        self.counts.coalesced += place in self._waiting
        self._waiting[place] = push

    def _deliver(self, push: Push, listeners: list[OnPush]) -> None:
        self.counts.delivered += 1
        for listener in listeners:
            listener(push)


def refusal(reason: str, apns_id: str, *, timestamp: datetime | None = None) -> Answer:
    """APNs' answer for a reason; `timestamp` is when the token was last known to be valid."""
    problem: dict[str, str | int] = {"reason": reason}
    if timestamp is not None:
        problem["timestamp"] = int(timestamp.timestamp() * 1000)
    return Answer(STATUS.get(reason, 400), apns_id, json.dumps(problem).encode())
