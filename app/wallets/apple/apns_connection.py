"""One HTTP/2 connection to APNs: aioapns' protocol, with what aioapns 4.0 leaves open closed.

There, a stream that is reset or that ends without a body is never answered, refusals use up the
receive window for good, a cancelled send breaks the clean-up of the others, and requests go out
before the server has said how many streams it takes, which for a token connection is one.
"""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from aioapns.common import NotificationRequest, NotificationResult
from aioapns.connection import APNsTLSClientProtocol, AuthorizationHeaderProvider, ChannelPool
from aioapns.exceptions import ConnectionClosed
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error

from app.wallets.apple.apns_credentials import ApnsEndpoint

PAYLOAD_BYTES = len(b"{}")
STREAMS_MAX = 300  # h2 walks through all open streams for each new one: more would be slower, not faster


@dataclass
class _Response:
    status: str
    body: bytearray = field(default_factory=bytearray)


class ApnsConnection(APNsTLSClientProtocol):
    """Sends requests until it is closed, retired or lost; it keeps itself in `open_connections`.

    `ready` is set when the server's settings are known, or the connection is lost before that;
    `lost` when it is over, `lost_because` then being the error, if there was one.
    """

    INACTIVITY_TIME = 300  # below the 350 s after which common gateways forget a silent connection

    def __init__(self, endpoint: ApnsEndpoint, open_connections: set["ApnsConnection"]) -> None:
        # Ours has what aioapns asks of its own: get_header().
        token = cast(AuthorizationHeaderProvider | None, endpoint.token)
        super().__init__(apns_topic=endpoint.topic, auth_provider=token)
        self.APNS_SERVER = endpoint.host
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self.lost_because: Exception | None = None
        self.is_usable = True
        self._open_connections = open_connections
        self._is_flush_planned = False
        self._responses: dict[int, _Response] = {}
        self._waiting_for_stream: deque[asyncio.Future[None]] = deque()
        self._streams_promised = 0  # to those that were woken and have not sent yet
        # aioapns' own count goes wrong when the server changes its limit: never let it bite.
        self.free_channels = ChannelPool(H2Connection.HIGHEST_ALLOWED_STREAM_ID)

    async def send(self, request: NotificationRequest) -> NotificationResult:
        """The server's answer. Raises ConnectionClosed or H2Error; the request may then have arrived."""
        try:
            await self._free_stream()
            return await self.send_notification(request)
        finally:
            self.requests.pop(request.notification_id, None)
            self._hand_out_streams()
            self._close_if_drained()

    def retire(self) -> None:
        """Take no more requests; close when those under way are answered or given up."""
        self.is_usable = False
        self._close_if_drained()

    def close(self) -> None:
        """Drop the connection: a polite TLS farewell would wait for a peer that may be gone."""
        self.is_usable = False
        if self.inactivity_timer:
            self.inactivity_timer.cancel()
        if self.transport is not None:
            self.transport.abort()

    def _close_if_drained(self) -> None:
        if not self.is_usable and not self.requests:
            self.close()

    async def _free_stream(self) -> None:
        if self.is_usable and self._streams_left() <= 0:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting_for_stream.append(waiting)
            try:
                await waiting
            finally:
                self._streams_promised -= waiting.done() and not waiting.cancelled()
        if not self.is_usable:
            raise ConnectionClosed("closed while waiting for a stream")

    def _streams_left(self) -> int:
        taken = len(self.request_streams) + self._streams_promised
        streams = min(self.conn.remote_settings.max_concurrent_streams, STREAMS_MAX) - taken
        return min(streams, self.conn.outbound_flow_control_window // PAYLOAD_BYTES)

    def _hand_out_streams(self) -> None:
        """Wake as many that wait as may go now; when the connection is over, all, to be told so."""
        while self._waiting_for_stream and (not self.is_usable or self._streams_left() > 0):
            waiting = self._waiting_for_stream.popleft()
            if not waiting.done():
                self._streams_promised += 1
                waiting.set_result(None)

    def flush(self) -> None:
        """Write once for all requests of this turn of the loop: one TLS record, one system call."""
        if not self._is_flush_planned:
            self._is_flush_planned = True
            self.loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._is_flush_planned = False
        if self.transport is not None and not self.transport.is_closing():
            super().flush()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open_connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        self.lost_because = self.lost_because or exc
        self._open_connections.discard(self)
        self.ready.set()
        self.lost.set()
        self._hand_out_streams()
        # aioapns would stumble over a send that was cancelled a moment ago.
        self.requests = {key: waiting for key, waiting in self.requests.items() if not waiting.done()}
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.is_usable and not self.requests:
            return
        try:
            events = self.conn.receive_data(data)
        except H2Error as error:
            self._give_up(error)
            return
        for event in events:
            self._on_event(event)
        self.flush()
        self._hand_out_streams()

    def _on_event(self, event: Event) -> None:
        match event:
            case RemoteSettingsChanged():
                self.ready.set()
            case ResponseReceived():
                headers = dict(cast(list[tuple[bytes, bytes]], event.headers))
                self._responses[event.stream_id] = _Response(headers.get(b":status", b"").decode())
            case DataReceived():
                self._responses[event.stream_id].body += event.data
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                self._answer(event.stream_id)
            case StreamReset():
                self._fail(event.stream_id, ConnectionClosed(f"stream reset, code {event.error_code!s}"))
            case ConnectionTerminated():
                self._give_up(ConnectionClosed(f"the server says goodbye, code {event.error_code!s}"))
            case _:
                pass  # pings, window updates and settings acknowledged: h2 has dealt with them

    def _give_up(self, error: Exception) -> None:
        self.lost_because = self.lost_because or error
        self.close()

    def _request_of(self, stream_id: int) -> "asyncio.Future[NotificationResult] | None":
        notification_id = self.request_streams.pop(stream_id, "")
        waiting = self.requests.get(notification_id)
        return None if waiting is None or waiting.done() else waiting

    def _answer(self, stream_id: int) -> None:
        response = self._responses.pop(stream_id)
        waiting = self._request_of(stream_id)
        if waiting is not None:
            waiting.set_result(NotificationResult("", response.status, _reason(bytes(response.body))))

    def _fail(self, stream_id: int, error: Exception) -> None:
        self._responses.pop(stream_id, None)
        waiting = self._request_of(stream_id)
        if waiting is not None:
            waiting.set_exception(error)


def _reason(body: bytes) -> str | None:
    """The reason in an answer's body; None for an empty body or one that is not APNs' JSON."""
    try:
        answer: object = json.loads(body)
    except ValueError:
        return None
    reason = cast(dict[str, object], answer).get("reason") if isinstance(answer, dict) else None
    return reason if isinstance(reason, str) else None
