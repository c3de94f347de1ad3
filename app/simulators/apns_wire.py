"""The wire of the APNs simulator: TLS and HTTP/2 by hand, so that it can also fail as networks do."""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Protocol, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

STREAMS = 1000  # what APNs grants a proven connection
BODY_BYTES_KEPT = 8192  # twice what APNs takes


@dataclass(frozen=True)
class ApnsFaults:
    """What goes wrong, planned. A share is of the requests, between 0 and 1; 0 is never.

    - `goaway_every`: after so many requests of a connection, GOAWAY. What came before is still
      answered; or, with `goaway_is_hard`, nothing more is answered and the connection ends.
    - `drop_every`: after so many requests of a connection it is cut, without a word.
    - `stalled_connections`: so many connections, the first, read on and say nothing any more.
    - `refused_connections`: so many connections, the first, are cut before a word of TLS.
    - `streams`: how many a connection may have open at once; `one_stream_first`: only one before the first
      answer, as it always is in token mode.
    - `reset_share`: RST_STREAM instead of an answer. `empty_share`: status 500 without a body.
    - `busy_share`: 429 TooManyRequests. `unavailable_share`: 503 ServiceUnavailable.
    """

    goaway_every: int = 0
    goaway_is_hard: bool = False
    drop_every: int = 0
    stalled_connections: int = 0
    refused_connections: int = 0
    streams: int = STREAMS
    one_stream_first: bool = False
    reset_share: float = 0.0
    empty_share: float = 0.0
    busy_share: float = 0.0
    unavailable_share: float = 0.0


@dataclass(frozen=True)
class Answer:
    """Status, apns-id and body of one answer."""

    status: int
    apns_id: str
    body: bytes = b""


RESET = Answer(0, "reset")  # instead of an answer the stream is reset
SILENCE = Answer(0, "silence")  # nothing at all


@dataclass
class _Request:
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)


class _Counts(Protocol):
    connections: int
    refused_connections: int
    requests: int


class ApnsService(Protocol):
    """What a connection asks of the simulator."""

    tls: ssl.SSLContext
    faults: ApnsFaults
    connections: "set[ApnsWire]"

    @property
    def counts(self) -> _Counts: ...
    @property
    def starts_with_one_stream(self) -> bool: ...
    def latency(self) -> float: ...
    def answer(self, headers: dict[str, str], body: bytes) -> Answer: ...


class ApnsWire(asyncio.Protocol):
    """One connection of a provider.

    TLS runs over memory buffers here because asyncio's own server drops the alert that tells a
    client its certificate is refused.
    """

    def __init__(self, service: ApnsService) -> None:
        self._service = service
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = service.tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._is_open = False
        self._is_refused = False
        self._is_stalled = False
        self._is_flush_planned = False
        self._streams_granted = 1 if service.starts_with_one_stream else service.faults.streams
        self._requests: dict[int, _Request] = {}
        self._requests_seen = 0
        self._last_stream = 0
        self._is_leaving = False
        self._closed = asyncio.Event()

    async def drop(self) -> None:
        """Cut the connection, as a power failure would."""
        self._transport.abort()
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._service.connections.add(self)
        if self._service.counts.refused_connections < self._service.faults.refused_connections:
            self._service.counts.refused_connections += 1
            self._is_refused = True
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_stalled = True
        self._service.connections.discard(self)
        self._closed.set()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._incoming.write(data)
        try:
            if not self._is_open:
                self._tls.do_handshake()
                self._open()
            while plain := self._tls.read(65536):
                self._on_plain(plain)
        except ssl.SSLWantReadError:
            self._transport.write(self._outgoing.read())
        except ssl.SSLError:
            self._is_refused = True
            self._transport.write(self._outgoing.read())  # the alert
            self._transport.write_eof()  # not closed: a reset could overtake the alert

    def _open(self) -> None:
        self._is_open = True
        self._service.counts.connections += 1
        # h2 would end a connection that opens too many streams; APNs refuses the stream, as done below.
        self._h2.local_settings = _stream_limit(self._streams_granted)
        self._h2.initiate_connection()
        self._h2.local_settings = _stream_limit(H2Connection.HIGHEST_ALLOWED_STREAM_ID)
        self._flush()
        self._is_stalled = self._service.counts.connections <= self._service.faults.stalled_connections

    def _on_plain(self, plain: bytes) -> None:
        if self._is_stalled:
            return
        try:
            for event in self._h2.receive_data(plain):
                self._on_event(event)
        except H2Error:
            self._say_goodbye(self._last_stream, ErrorCodes.PROTOCOL_ERROR)
            self._transport.close()
        self._flush()

    def _on_event(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._on_request(event.stream_id, dict(cast(list[tuple[str, str]], event.headers)))
            case DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id in self._requests:
                    self._requests[event.stream_id].body += event.data[:BODY_BYTES_KEPT]
            case StreamEnded():
                if event.stream_id in self._requests:
                    self._on_complete(event.stream_id)
            case StreamReset():
                self._requests.pop(event.stream_id, None)
            case ConnectionTerminated():
                self._transport.close()
            case _:
                pass  # settings, pings and windows: h2 has dealt with them

    def _on_request(self, stream_id: int, headers: dict[str, str]) -> None:
        if self._is_leaving:
            return  # beyond the last stream of our GOAWAY: the client must repeat it elsewhere
        if len(self._requests) >= self._streams_granted:
            self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._last_stream = stream_id
        self._requests[stream_id] = _Request(headers)

    def _on_complete(self, stream_id: int) -> None:
        faults = self._service.faults
        self._service.counts.requests += 1
        self._requests_seen += 1
        if faults.drop_every and self._requests_seen % faults.drop_every == 0:
            self._is_stalled = True
            self._transport.abort()
            return

        if latency := self._service.latency():
            asyncio.get_running_loop().call_later(latency, self._answer, stream_id)
        else:
            self._answer(stream_id)
        if self._requests_seen == faults.goaway_every:
            self._leave(is_hard=faults.goaway_is_hard)

    def _leave(self, *, is_hard: bool) -> None:
        self._is_leaving = True
        self._say_goodbye(0 if is_hard else self._last_stream, ErrorCodes.NO_ERROR)
        if is_hard:
            self._is_stalled = True
            self._transport.close()
        self._close_if_done()

    def _say_goodbye(self, last_stream: int, code: ErrorCodes) -> None:
        """GOAWAY past h2, which would let nothing follow it: APNs still answers what came before."""
        self._flush()
        goaway = GoAwayFrame(0, last_stream_id=last_stream, error_code=code)
        self._tls.write(goaway.serialize())
        self._transport.write(self._outgoing.read())

    def _answer(self, stream_id: int) -> None:
        if self._is_stalled or stream_id not in self._requests:
            return
        request = self._requests.pop(stream_id)
        answer = self._service.answer(request.headers, bytes(request.body))
        if answer is SILENCE:
            return
        if answer is RESET:
            self._h2.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
        else:
            head = [(":status", str(answer.status)), ("apns-id", answer.apns_id)]
            self._h2.send_headers(stream_id, head, end_stream=not answer.body)
            if answer.body:
                self._h2.send_data(stream_id, answer.body, end_stream=True)
        self._grant_streams(answer)
        self._plan_flush()
        self._close_if_done()

    def _grant_streams(self, answer: Answer) -> None:
        streams = self._service.faults.streams
        if self._streams_granted < streams and answer.status not in (0, 403):
            self._streams_granted = streams
            self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: streams})

    def _close_if_done(self) -> None:
        if self._is_leaving and not self._requests:
            self._flush()
            self._transport.close()

    def _plan_flush(self) -> None:
        """Write once for all answers of this turn of the loop: one TLS record, one system call."""
        if not self._is_flush_planned:
            self._is_flush_planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_planned = False
        plain = self._h2.data_to_send()
        if plain and not self._transport.is_closing():
            self._tls.write(plain)
            self._transport.write(self._outgoing.read())


def _stream_limit(streams: int) -> Settings:
    return Settings(client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: streams})
