"""A stand-in for APNs, faster than the clients: it reads frames, decodes nothing, and answers 200 late.

python -m benchmarks._apns_server <key and certificate, one PEM> <shortest ms> <longest ms> [echo]

With "echo" it does decode, and answers with the apns-id, without which aioapns knows no answer.

Prints its port, and ends with its input. Tokens are counted by the simulator, exact and slow; this one is
only for speed.
"""

import asyncio
import random
import ssl
import sys
from collections import defaultdict

import uvloop
from hpack import Decoder

from app.wallets.apple.apns import frames

STREAMS = 1000
HEAD_ONLY = frames.HEAD.pack(1 << 8 | frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 0)[:-4]
OK = b"\x88"
TICK_SECONDS = 0.001


class Wire(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, latency_ms: tuple[int, int], *, echoes: bool) -> None:
        self._latency_ms = latency_ms
        self._decoder = Decoder() if echoes else None
        self._ids: dict[int, bytes] = {}
        self._rest = b""
        self._due: defaultdict[int, list[bytes]] = defaultdict(list)
        self._tick = 0
        self._first_block = b""

    def connection_made(self, transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._rest_of_preface = len(frames.PREFACE)
        window = frames.window_update(frames.WINDOW_MAX - frames.WINDOW_BYTES)
        settings = {frames.MAX_CONCURRENT_STREAMS: STREAMS, frames.INITIAL_WINDOW_SIZE: 1 << 20}
        transport.write(frames.settings(settings) + window)
        self._handle = self._loop.call_later(TICK_SECONDS, self._on_tick)

    def connection_lost(self, exc) -> None:
        self._handle.cancel()

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if len(data) < self._rest_of_preface:
            self._rest = data
            return
        position, end, choose = self._rest_of_preface, len(data), random.randint
        self._rest_of_preface = 0
        while end - position >= 9:
            word, flags, stream_id = frames.HEAD.unpack_from(data, position)
            after = position + 9 + (word >> 8)
            if after > end:
                break
            kind = word & 0xFF
            if kind in (frames.DATA, frames.HEADERS):
                if kind == frames.HEADERS and self._decoder:
                    block = frames.header_fragment(data[position + 9 : after], flags)
                    self._ids[stream_id] = dict(self._decoder.decode(block, raw=True))[b"apns-id"]
                if flags & frames.END_STREAM:
                    self._due[self._tick + choose(*self._latency_ms)].append(self._answer(stream_id))
            elif kind == frames.SETTINGS and not flags & frames.ACK:
                self._agree(frames.read_settings(data[position + 9 : after]))
            elif kind == frames.PING and not flags & frames.ACK:
                self._transport.write(frames.ping(data[position + 9 : after], is_answer=True))
            position = after
        self._rest = data[position:]

    def _answer(self, stream_id: int) -> bytes:
        if self._decoder is None:
            return HEAD_ONLY + stream_id.to_bytes(4, "big") + OK
        apns_id = self._ids.pop(stream_id)
        block = OK + b"\x00\x07apns-id" + bytes([len(apns_id)]) + apns_id
        return frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id, block)

    def _agree(self, settings: dict[int, int]) -> None:
        if settings.get(frames.HEADER_TABLE_SIZE, 4096) < 4096:
            self._first_block = b"\x20" + OK  # we keep no table at all
        self._transport.write(frames.SETTINGS_ACK)

    def _on_tick(self) -> None:
        # By the clock, not by the number of calls: a busy loop skips ticks.
        now = int(self._loop.time() / TICK_SECONDS)
        if not self._tick:
            self._tick = now
            self._due = defaultdict(list, {now + at: streams for at, streams in self._due.items()})
        late = [at for at in self._due if at <= now]
        answers = [answer for at in sorted(late) for answer in self._due.pop(at)]
        self._tick = now
        if answers and not self._transport.is_closing():
            if self._first_block:
                stream_id = int.from_bytes(answers[0][5:9], "big")
                shape = frames.END_HEADERS | frames.END_STREAM
                answers[0] = frames.frame(frames.HEADERS, shape, stream_id, self._first_block)
                self._first_block = b""
            self._transport.write(b"".join(answers))
        self._handle = self._loop.call_later(TICK_SECONDS, self._on_tick)


async def main(pem: str, shortest_ms: str, longest_ms: str, *options: str) -> None:
    """Serve until standard input ends."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.set_alpn_protocols(["h2"])
    tls.load_cert_chain(pem)
    loop = asyncio.get_running_loop()
    latency_ms, echoes = (int(shortest_ms), int(longest_ms)), "echo" in options
    server = await loop.create_server(lambda: Wire(latency_ms, echoes=echoes), "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
