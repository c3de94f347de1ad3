"""The rules of HTTP/2, byte by byte: what a hostile or unusual server may say, and what we answer."""

import asyncio
import struct
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hpack import Decoder, Encoder
from hyperframe.frame import Frame

from app.wallets.apple.apns import frames
from app.wallets.apple.apns.connection import Connection
from app.wallets.apple.apns.pushes import Push
from app.wallets.apple.apns.requests import PushRequests, random_id_prefix
from app.wallets.apple.apns_token import ProviderToken
from tests.apns import KEY_ID, TEAM_ID, provider_key_pem, push_token

HEADERS = {":authority": "api.push.apple.com", "apns-topic": "pass.example", "authorization": "bearer 50%"}
END = frames.END_HEADERS | frames.END_STREAM
ACKNOWLEDGED = frames.settings({}) + frames.SETTINGS_ACK
EMPTY_TABLE = b"\x20"  # RFC 7541 6.3: what a server must say after it has read our SETTINGS


class Line(asyncio.Transport):
    """The network's end of a connection: what was written, and whether it is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_cut = False

    def write(self, data) -> None:
        self.written += data

    def set_write_buffer_limits(self, high=None, low=None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_cut

    def abort(self) -> None:
        self.is_cut = True


class Pool:
    """Remembers what a connection says of its pushes."""

    def __init__(self) -> None:
        self.accepted, self.answers, self.returned = [], [], []

    def on_room(self, connection) -> None:
        pass

    def on_accepted(self, accepted) -> None:
        self.accepted += accepted

    def on_answer(self, answer) -> None:
        self.answers.append((answer.push.push_token, answer.status, answer.body))

    def on_returned(self, pushes, reason) -> None:
        self.returned += [push.push_token for push in pushes]

    def on_leaving(self) -> None:
        pass

    def on_lost(self, connection) -> None:
        pass


class Server:
    """The other side of one connection of ours, in the test's own hand."""

    def __init__(self, settings: bytes = ACKNOWLEDGED) -> None:
        self.pool, self.line = Pool(), Line()
        self.connection = Connection(self.pool, asyncio.get_running_loop())
        self.connection.connection_made(self.line)
        self.line.written = b""
        self.says(settings)

    def says(self, data: bytes) -> None:
        self.connection.data_received(data)

    def is_sent(self, count: int = 1) -> None:
        if self.connection.requests is None:
            self.connection.requests = PushRequests(
                HEADERS, id_prefix=self.connection.id_prefix, table_bytes=self.connection.table_bytes
            )
        first = self.connection._next_stream // 2
        self.connection.send([Push(push_token(first + n), None) for n in range(count)])

    @property
    def answers(self) -> dict[str, tuple[int, bytes]]:
        """Status and body by token, however they were answered."""
        accepted = {push.push_token: (200, b"") for push, _ in self.pool.accepted}
        return accepted | {token: (status, body) for token, status, body in self.pool.answers}

    @property
    def goodbye(self) -> int | None:
        """The error code of our GOAWAY, when the connection was cut."""
        if not self.line.is_cut:
            return None
        return struct.unpack(">I", self.line.written[-4:])[0]


def ok(stream_id: int) -> bytes:
    return frames.frame(frames.HEADERS, END, stream_id, EMPTY_TABLE + b"\x88")


def parsed(data: bytes) -> list[Frame]:
    read = []
    while data:
        each, length = Frame.parse_frame_header(memoryview(data[:9]))
        each.parse_body(memoryview(data[9 : 9 + length]))
        read.append(each)
        data = data[9 + length :]
    return read


@pytest.mark.parametrize("table_bytes", [0, 100, 4096, 65_536])
def test_another_implementation_reads_every_push_with_a_table_of_any_size(table_bytes):
    prefix = random_id_prefix()
    requests = PushRequests(HEADERS, id_prefix=prefix, table_bytes=table_bytes)
    decoder = Decoder()
    decoder.max_allowed_table_size = table_bytes
    for stream_id, length in ((1, 64), (3, 64), (5, 160), (7, 2), (9, 64), (2**31 - 1, 200)):
        headers, data = parsed(requests.write("ab" * (length // 2), stream_id))

        fields = dict(decoder.decode(headers.data))
        assert UUID(fields.pop("apns-id")).version == 4
        assert fields == HEADERS | {
            ":method": "POST",
            ":scheme": "https",
            ":path": "/3/device/" + "ab" * (length // 2),
        }
        assert (headers.stream_id, headers.flags) == (stream_id, {"END_HEADERS"})
        assert (data.stream_id, data.data, data.flags) == (stream_id, b"{}", {"END_STREAM"})


def test_a_push_after_the_first_costs_a_byte_a_header():
    requests = PushRequests(HEADERS, id_prefix=random_id_prefix(), table_bytes=4096)
    first, second = (len(requests.write(push_token(1), stream)) for stream in (1, 3))

    assert second == 9 + (2 + 1 + 2 + 10 + 64) + 2 + (2 + 1 + 36) + 9 + 2
    assert first > second


async def test_an_answer_in_any_dress_is_understood():
    server, encoder = Server(), Encoder()
    encoder.header_table_size = 0
    server.is_sent(6)
    block = encoder.encode([(":status", "200"), ("apns-id", "x"), ("server", "y" * 300)])
    reason = b'{"reason": "Unregistered"}'
    padded = bytes([7]) + block + bytes(7)
    server.says(frames.frame(frames.HEADERS, frames.END_STREAM, 1, block[:5]))
    server.says(frames.frame(frames.CONTINUATION, 0, 1, block[5:20]))
    server.says(frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[20:]))
    server.says(frames.frame(frames.HEADERS, END | frames.PADDED, 3, padded))
    server.says(frames.frame(frames.HEADERS, END | frames.HAS_PRIORITY, 5, bytes(5) + block))
    gone = frames.frame(frames.HEADERS, frames.END_HEADERS, 7, encoder.encode([(":status", "410")]))
    gone += frames.frame(frames.DATA, 0, 7, reason[:10])
    gone += frames.frame(
        frames.DATA, frames.PADDED | frames.END_STREAM, 7, bytes([3]) + reason[10:] + bytes(3)
    )
    for byte in gone:  # in any pieces
        server.says(bytes([byte]))
    interim = encoder.encode([(":status", "103")])
    server.says(frames.frame(frames.HEADERS, frames.END_HEADERS, 9, interim))
    server.says(frames.frame(frames.HEADERS, END, 9, block))
    server.says(frames.frame(frames.HEADERS, END, 11, b"\x88"))

    assert server.answers == {
        push_token(number): (410, reason) if number == 3 else (200, b"") for number in range(6)
    }


async def test_trailers_after_the_body_end_an_answer():
    server, encoder = Server(), Encoder()
    encoder.header_table_size = 0
    server.is_sent()
    server.says(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, encoder.encode([(":status", "200")])))
    server.says(frames.frame(frames.DATA, 0, 1, b"ok"))
    server.says(frames.frame(frames.HEADERS, END, 1, encoder.encode([("checksum", "1")])))

    assert server.answers == {push_token(0): (200, b"ok")}


async def test_the_table_a_server_keeps_until_it_knows_ours_is_followed():
    server, encoder = Server(frames.settings({})), Encoder()
    server.is_sent(4)
    for stream, status, name in ((1, "200", "first"), (3, "200", "second"), (5, "410", "first")):
        block = encoder.encode([(":status", status), ("server", name)])  # the last names a place in the table
        server.says(frames.frame(frames.HEADERS, END, stream, block))
    server.says(frames.SETTINGS_ACK)
    encoder.header_table_size = 0
    server.says(frames.frame(frames.HEADERS, END, 7, encoder.encode([(":status", "200")])))

    assert [status for status, _ in server.answers.values()] == [200, 200, 410, 200]


async def test_nothing_is_sent_before_the_settings_nor_beyond_them():
    server = Server(b"")
    assert server.connection.room() == 0
    server.says(frames.settings({frames.MAX_CONCURRENT_STREAMS: 3}))
    assert server.connection.room() == 3
    server.is_sent(2)
    assert server.connection.room() == 1
    server.says(frames.settings({frames.MAX_CONCURRENT_STREAMS: 0}))
    assert server.connection.room() <= 0
    server.says(frames.settings({frames.MAX_CONCURRENT_STREAMS: 5000}))
    assert server.connection.room() == 998
    server.says(frames.settings({frames.INITIAL_WINDOW_SIZE: 1}))
    assert server.connection.room() == 0


async def test_the_connections_window_is_kept_to():
    server = Server()
    for start in range(0, 32_000, 1000):
        server.is_sent(1000)
        server.says(b"".join(ok(2 * n + 1) for n in range(start, start + 1000)))
    assert server.connection.room() == (65_535 - 64_000) // 2
    server.is_sent(server.connection.room())
    assert server.connection.room() == 0
    server.says(frames.window_update(20))
    assert server.connection.room() == 10


async def test_a_smaller_table_in_the_midst_ends_the_connection_when_all_is_answered():
    server = Server()
    server.is_sent(2)
    server.says(frames.settings({frames.HEADER_TABLE_SIZE: 0}))
    assert server.connection.room() == 0
    server.says(ok(1) + ok(3))

    assert server.goodbye == frames.NO_ERROR
    assert len(server.answers) == 2


async def test_a_goodbye_returns_what_it_does_not_promise_and_waits_for_the_rest():
    server = Server()
    server.is_sent(4)
    server.says(frames.frame(frames.GOAWAY, 0, 0, struct.pack(">II", 3, 0) + b'{"reason":"Shutdown"}'))
    assert server.pool.returned == [push_token(2), push_token(3)]
    assert not server.line.is_cut
    server.says(ok(1) + ok(3))

    assert server.goodbye == frames.NO_ERROR
    assert not server.connection.was_cut


async def test_what_is_under_way_when_the_line_is_cut_comes_back_once():
    server = Server()
    server.is_sent(3)
    server.says(frames.reset(1, frames.REFUSED_STREAM))
    server.says(ok(3))
    server.connection.connection_lost(ConnectionResetError())

    assert server.pool.returned == [push_token(0), push_token(2)]
    assert server.connection.was_cut


async def test_a_ping_is_answered_and_what_is_unknown_is_ignored():
    server = Server()
    server.line.written = b""
    server.says(frames.ping(b"12345678") + frames.ping(b"12345678", is_answer=True))
    server.says(frames.frame(0xFA, 0xFF, 77, b"grease"))

    assert server.line.written == frames.ping(b"12345678", is_answer=True)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", frames.FRAME_SIZE_ERROR),
        (struct.pack(">IBI", 20_000 << 8 | frames.DATA, 0, 1), frames.FRAME_SIZE_ERROR),
        (frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.ping(bytes(8)), frames.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, 0, 1) + frames.frame(9, 0, 3), frames.PROTOCOL_ERROR),
        (
            frames.frame(frames.HEADERS, 0, 1) + 5 * frames.frame(9, 0, 1, bytes(16_000)),
            frames.ENHANCE_YOUR_CALM,
        ),
        (frames.frame(frames.HEADERS, END, 1, b"\xff\xff\xff"), frames.COMPRESSION_ERROR),
        (frames.frame(frames.HEADERS, END, 1, b"\xbe"), frames.COMPRESSION_ERROR),
        (frames.frame(frames.HEADERS, END, 2, EMPTY_TABLE + b"\x88"), frames.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, END, 99, EMPTY_TABLE + b"\x88"), frames.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, END | frames.PADDED, 1, b"\x09\x88"), frames.PROTOCOL_ERROR),
        (frames.frame(frames.DATA, frames.PADDED, 1), frames.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, b"12345"), frames.FRAME_SIZE_ERROR),
        (frames.frame(frames.RST_STREAM, 0, 1, b"123"), frames.FRAME_SIZE_ERROR),
        (frames.frame(frames.GOAWAY, 0, 0, b"123"), frames.FRAME_SIZE_ERROR),
        (frames.frame(frames.PUSH_PROMISE, 0, 1, bytes(8)), frames.PROTOCOL_ERROR),
        (frames.frame(frames.CONTINUATION, 0, 1), frames.PROTOCOL_ERROR),
        (frames.window_update(0), frames.FLOW_CONTROL_ERROR),
        (frames.window_update(frames.WINDOW_MAX), frames.FLOW_CONTROL_ERROR),
    ],
)
async def test_a_server_that_breaks_the_rules_is_told_so_and_left(said, code):
    server = Server()
    server.is_sent(3)
    server.says(said)
    server.connection.connection_lost(None)

    assert server.goodbye == code
    assert server.pool.returned == [push_token(0), push_token(1), push_token(2)]


async def test_an_answer_before_the_settings_is_no_http2():
    server = Server(b"")
    server.says(ok(1))

    assert server.goodbye == frames.PROTOCOL_ERROR
    server.connection.opened.cancel()


def test_the_providers_token_lives_between_20_and_60_minutes():
    at = [1_000_000.0]
    key = load_pem_private_key(provider_key_pem("ours"), None)
    token = ProviderToken(key, key_id=KEY_ID, team_id=TEAM_ID, clock=lambda: at[0])
    first = token.get_header()
    assert not token.renew(), "it is new: that it should be expired is about our clock"
    at[0] += 39 * 60
    assert token.get_header() == first
    at[0] += 2 * 60
    second = token.get_header()
    assert second != first
    at[0] += 19 * 60
    assert not token.renew()
    at[0] += 2 * 60
    assert token.renew()
    assert token.get_header() not in (first, second)
    assert token.renew(), "what was under way with the old one comes back a moment later"
