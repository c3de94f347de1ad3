"""One HTTP/2 connection to APNs: sends pushes, and says of each what became of it. Numbers are of RFC 9113.

It decides nothing: what is sent when, and what is sent again, is the pool's affair.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from app.wallets.apple.apns import frames
from app.wallets.apple.apns.frames import BrokenProtocol
from app.wallets.apple.apns.pushes import Answer, Push
from app.wallets.apple.apns.reading import FrameReader
from app.wallets.apple.apns.requests import PAYLOAD, PushRequests, random_id_prefix
from app.wallets.apple.apns.responses import STATUS_200, ResponseHeaders

STREAMS_MAX = 1000  # what APNs grants; a server that sets no limit gets no more either (5.1.2)
RECEIVE_WINDOW_BYTES = 1 << 24  # what the server may send before we allow more: only refusals have bodies
BODY_BYTES_MAX = 4096  # of an answer; {"reason": ...} has a hundred
WRITE_BUFFER_BYTES = 1 << 20
PING = b"passbell"

_OUR_SETTINGS = {
    frames.HEADER_TABLE_SIZE: 0,  # answers then mean the same whatever came before: see ResponseHeaders
    frames.ENABLE_PUSH: 0,
}


class ConnectionOwner(Protocol):
    """Who hears of a connection: its pool."""

    def on_room(self, connection: "Connection") -> None:
        """More may be sent."""
        ...

    def on_accepted(self, accepted: Sequence[tuple[Push, str]]) -> None:
        """APNs took these, each under its apns-id."""
        ...

    def on_answer(self, answer: Answer) -> None:
        """APNs answered something else, or in more words."""
        ...

    def on_returned(self, pushes: Sequence[Push], reason: str) -> None:
        """Nobody will answer these any more; APNs may or may not have taken them."""
        ...

    def on_leaving(self) -> None:
        """A connection takes no more pushes."""
        ...

    def on_lost(self, connection: "Connection") -> None:
        """It is over; what was under way has been returned."""
        ...


@dataclass(slots=True)
class _Partial:
    """An answer that has begun."""

    status: int
    body: bytearray = field(default_factory=bytearray)


class Connection(asyncio.Protocol):
    """Sends pushes until the server says goodbye or it is closed.

    `opened` is done when the server's settings are known, and fails when the connection is lost before.
    """

    def __init__(
        self, owner: ConnectionOwner, loop: asyncio.AbstractEventLoop, *, streams_max: int = STREAMS_MAX
    ) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self.lost = asyncio.Event()
        self.requests: PushRequests | None = None  # how pushes are written; set before the first
        self.id_prefix = random_id_prefix()
        self.in_flight: dict[int, Push] = {}  # by stream, in the order they were sent
        self.received_at = self.answered_at = loop.time()
        self.has_answered = False
        self.pinged_at: float | None = None
        self.is_leaving = False
        self.was_cut = False  # ended by the server before it had answered everything it said it would
        self.table_bytes = frames.HEADER_TABLE_BYTES
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._responses = ResponseHeaders()
        self._streams = self._streams_max = streams_max
        self._next_stream = 1  # 5.1.1: ours are odd
        self._window, self._stream_window = frames.WINDOW_BYTES, frames.WINDOW_BYTES
        self._is_paused = False
        self._frames = FrameReader()
        self._has_settings = False
        self._partial: dict[int, _Partial] = {}
        self._to_allow = 0
        self._broken: Exception | None = None

    # --- Sending ---

    def room(self) -> int:
        """How many pushes may be sent now."""
        if self.is_leaving or self._is_paused or not self._has_settings or self._stream_window < len(PAYLOAD):
            return 0
        return min(self._streams - len(self.in_flight), self._window // len(PAYLOAD))

    def send(self, pushes: Sequence[Push]) -> None:
        """Send pushes, no more than there is room for: one write for all."""
        assert self.requests is not None
        write, stream_id, now = self.requests.write, self._next_stream, self._loop.time()
        written: list[bytes] = []
        if not self.in_flight:
            self.answered_at = self.received_at = now  # nothing was owed until now
        for push in pushes:
            push.sent_at = now
            self.in_flight[stream_id] = push
            written.append(write(push.push_token, stream_id))
            stream_id += 2
        self._next_stream = stream_id
        self._window -= len(PAYLOAD) * len(pushes)
        self._write(b"".join(written))
        if stream_id > frames.STREAM_MAX - 2 * STREAMS_MAX:  # 5.1.1: numbers are used up
            self.leave()

    def give_up(self, push: Push) -> bool:
        """Wait no longer for the answer to a push; whether it was under way here."""
        for stream_id, sent in self.in_flight.items():
            if sent is push:
                del self.in_flight[stream_id]
                self._write(frames.reset(stream_id, frames.CANCEL))
                self._after_answers()
                return True
        return False

    def ask_for_life(self) -> None:
        """Send a PING; any byte that comes is an answer to it."""
        self.pinged_at = self._loop.time()
        self._write(frames.ping(PING))

    def leave(self) -> None:
        """Take no more pushes, and close when those under way are answered."""
        if not self.is_leaving:
            self.is_leaving = True
            self._owner.on_leaving()
        if not self.in_flight:
            self.close()

    def close(self, code: int = frames.NO_ERROR) -> None:
        """Say goodbye and drop the connection: a polite farewell would wait for a peer that may be gone."""
        self._write(frames.goaway(code))
        self.abort()

    def abort(self) -> None:
        """Drop the connection, for it has died or is not wanted any more."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # --- What asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        allowed = frames.window_update(RECEIVE_WINDOW_BYTES - frames.WINDOW_BYTES)
        self._write(frames.PREFACE + frames.settings(_OUR_SETTINGS) + allowed)

    def connection_lost(self, exc: Exception | None) -> None:
        error = self._broken or exc or ConnectionResetError("the server closed the connection")
        if not self.opened.done():
            self.opened.set_exception(error)
        self.is_leaving = True
        returned = list(self.in_flight.values())
        self.in_flight.clear()
        self.was_cut = self.was_cut or bool(returned)
        self.lost.set()
        if returned:
            self._owner.on_returned(returned, str(error))
        self._owner.on_lost(self)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._owner.on_room(self)

    def data_received(self, data: bytes) -> None:
        self.received_at = self._loop.time()
        self.pinged_at = None
        try:
            self._read(data)
        except BrokenProtocol as error:
            self._broken = error
            self.close(error.code)
            return
        self._after_answers()

    def _after_answers(self) -> None:
        if self.is_leaving:
            if not self.in_flight:
                self.close()
        elif self._has_settings:
            self._owner.on_room(self)

    # --- Receiving ---

    def _read(self, data: bytes) -> None:
        accepted: list[tuple[Push, int]] = []
        try:
            for kind, flags, stream_id, payload in self._frames.read(data):
                # The usual answer, 200 and the end of its stream, takes no decoding.
                if (
                    kind == frames.HEADERS
                    and flags & frames.END_STREAM
                    and payload[:1] == STATUS_200
                    and self._responses.is_stateless
                    and stream_id not in self._partial
                ):
                    push = self.in_flight.pop(stream_id, None)
                    if push is not None:
                        accepted.append((push, stream_id))
                else:
                    self._on_frame(kind, flags, stream_id, payload)
        finally:
            if accepted:
                self._accept(accepted)

    def _note_answer(self) -> None:
        self.has_answered = True
        self.answered_at = self.received_at

    def _accept(self, accepted: Sequence[tuple[Push, int]]) -> None:
        self._note_answer()
        prefix = self.id_prefix
        self._owner.on_accepted([(push, f"{prefix}{stream_id:012x}") for push, stream_id in accepted])

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        match kind:
            case frames.HEADERS:
                self._on_headers(stream_id, flags, payload)
            case frames.DATA:
                self._on_data(stream_id, flags, payload)
            case frames.RST_STREAM:
                self._on_reset(stream_id, frames.read_u31(payload))
            case frames.SETTINGS if flags & frames.ACK:
                self._responses.acknowledge()
            case frames.SETTINGS:
                self._on_settings(frames.read_settings(payload))
            case frames.PING if not flags & frames.ACK:
                self._write(frames.ping(payload, is_answer=True))
            case frames.GOAWAY:
                self._on_goaway(frames.read_u31(payload, exactly=None), payload[4:8], payload[8:])
            case frames.WINDOW_UPDATE:
                self._on_window_update(stream_id, frames.read_u31(payload))
            case frames.PUSH_PROMISE | frames.CONTINUATION:
                raise BrokenProtocol(f"a frame of type {kind}, which we never asked for")  # 6.6, 6.10
            case _:
                pass  # 4.1: unknown types are ignored; PRIORITY says nothing to a client

    def _on_headers(self, stream_id: int, flags: int, block: bytes) -> None:
        status = self._responses.status(block)  # of forgotten streams too: the decoder must see them all
        if stream_id % 2 == 0 or stream_id >= self._next_stream:
            raise BrokenProtocol(f"an answer on stream {stream_id}, which we never opened")  # 5.1.1
        if stream_id not in self.in_flight or (status is not None and status < 200):
            return  # given up, or an interim answer (8.1)
        if status is not None:
            self._partial[stream_id] = _Partial(status)
        if flags & frames.END_STREAM:
            self._finish(stream_id)

    def _on_data(self, stream_id: int, flags: int, payload: bytes) -> None:
        self._allow_more(len(payload))
        partial = self._partial.get(stream_id)
        if partial is None:
            return  # given up
        partial.body += payload[: BODY_BYTES_MAX - len(partial.body)]
        if flags & frames.END_STREAM:
            self._finish(stream_id)

    def _allow_more(self, received: int) -> None:
        """Give back what was received, half a window at a time (6.9)."""
        self._to_allow += received
        if self._to_allow >= RECEIVE_WINDOW_BYTES // 2:
            self._write(frames.window_update(self._to_allow))
            self._to_allow = 0

    def _finish(self, stream_id: int) -> None:
        partial = self._partial.pop(stream_id, None)
        push = self.in_flight.pop(stream_id)
        if partial is None:
            raise BrokenProtocol("an answer without a status")  # 8.3.2
        self._note_answer()
        apns_id = f"{self.id_prefix}{stream_id:012x}"
        self._owner.on_answer(Answer(push, apns_id, partial.status, bytes(partial.body)))

    def _on_reset(self, stream_id: int, code: int) -> None:
        self._partial.pop(stream_id, None)
        push = self.in_flight.pop(stream_id, None)
        if push is not None:
            self._note_answer()
            self._owner.on_returned([push], f"the stream was reset, code {code}")

    def _on_settings(self, values: dict[int, int]) -> None:
        streams = values.get(frames.MAX_CONCURRENT_STREAMS, self._streams)
        self._streams = min(streams, self._streams_max)
        self._stream_window = values.get(frames.INITIAL_WINDOW_SIZE, self._stream_window)
        table_bytes = values.get(frames.HEADER_TABLE_SIZE, self.table_bytes)
        is_smaller = table_bytes < min(self.table_bytes, frames.HEADER_TABLE_BYTES)
        self.table_bytes = table_bytes
        self._write(frames.SETTINGS_ACK)
        if not self._has_settings:
            self._has_settings = True
            self.opened.set_result(None)
        elif is_smaller:
            self.leave()  # our headers may have lost their places in it: a new connection begins anew

    def _on_goaway(self, last_stream: int, code: bytes, said: bytes) -> None:
        """Streams up to the last are answered yet, if the server means it well; the others never (6.8)."""
        reason = f"the server says goodbye, code {int.from_bytes(code)} {said[:200].decode(errors='replace')}"
        self._broken = self._broken or ConnectionResetError(reason)
        returned = [stream_id for stream_id in self.in_flight if stream_id > last_stream]
        pushes = [self.in_flight.pop(stream_id) for stream_id in returned]
        self.was_cut = bool(pushes) and (last_stream == 0 or any(code))
        self.leave()
        if pushes:
            self._owner.on_returned(pushes, reason)

    def _on_window_update(self, stream_id: int, increment: int) -> None:
        if stream_id == 0:
            self._window += increment
            if not increment or self._window > frames.WINDOW_MAX:
                raise BrokenProtocol("a window of no size", frames.FLOW_CONTROL_ERROR)  # 6.9.1
