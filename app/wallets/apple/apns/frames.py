"""HTTP/2 frames as a client of APNs needs them: bytes in, bytes out. Numbers are from RFC 9113."""

import struct
from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # 3.4: what a client says first, before its SETTINGS

# 4.1: length (24 bits) and type (8), flags (8), a reserved bit and the stream (31).
HEAD = struct.Struct(">IBI")
HEAD_BYTES = HEAD.size
STREAM_MAX = 0x7FFF_FFFF
FRAME_BYTES_MAX = 16_384  # 4.2: what we take, as we say nothing else in our SETTINGS
WINDOW_MAX = 0x7FFF_FFFF  # 6.9.1

# 6.1 to 6.10: the types.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)

# The flags: ACK is of SETTINGS and PING, the others of DATA, HEADERS and CONTINUATION.
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

# 6.5.2: the settings, with the values that hold until the other side says another.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4
HEADER_TABLE_BYTES = 4096
WINDOW_BYTES = 65_535

# 7: error codes, as far as we say them.
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0x0, 0x1, 0x3, 0x6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x7, 0x8, 0x9, 0xB


class BrokenProtocol(Exception):
    """The other side does not speak HTTP/2, or breaks its rules; `code` is what we tell it (section 7)."""

    def __init__(self, message: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code = code


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings(values: Mapping[int, int]) -> bytes:
    """Our SETTINGS (6.5)."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in values.items()))


SETTINGS_ACK = frame(SETTINGS, ACK, 0)


def window_update(increment: int) -> bytes:
    """Let the server send so many bytes more on the connection (6.9)."""
    return frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", increment))


def reset(stream_id: int, code: int) -> bytes:
    """End one stream (6.4)."""
    return frame(RST_STREAM, 0, stream_id, struct.pack(">I", code))


def ping(data: bytes, *, is_answer: bool = False) -> bytes:
    """Ask for a sign of life, or give one; `data` has eight bytes (6.7)."""
    return frame(PING, ACK if is_answer else 0, 0, data)


def goaway(code: int) -> bytes:
    """Say goodbye; we never take a stream of the server's, so the last one is 0 (6.8)."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", 0, code))


def read_settings(payload: bytes) -> dict[int, int]:
    """What a SETTINGS frame says; the last word on a setting counts (6.5.3)."""
    if len(payload) % 6:
        raise BrokenProtocol("SETTINGS of an odd length", FRAME_SIZE_ERROR)
    return dict(struct.iter_unpack(">HI", payload))


def read_u31(payload: bytes, exactly: int | None = 4) -> int:
    """The 31 bits at the beginning of a payload: a stream or an increment. Raises BrokenProtocol."""
    if len(payload) < 4 or (exactly is not None and len(payload) != exactly):
        raise BrokenProtocol(f"a payload of {len(payload)} bytes", FRAME_SIZE_ERROR)
    return int.from_bytes(payload[:4]) & STREAM_MAX


def without_padding(payload: bytes, flags: int) -> bytes:
    """The payload of DATA or HEADERS without its padding (6.1). Raises BrokenProtocol."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise BrokenProtocol("more padding than payload")
    return payload[1 : len(payload) - payload[0]]


def header_fragment(payload: bytes, flags: int) -> bytes:
    """The header block in a HEADERS frame, without padding and priority (6.2). Raises BrokenProtocol."""
    fragment = without_padding(payload, flags)
    if not flags & HAS_PRIORITY:
        return fragment
    if len(fragment) < 5:
        raise BrokenProtocol("HEADERS too short for its priority", FRAME_SIZE_ERROR)
    return fragment[5:]
