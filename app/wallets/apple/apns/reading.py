"""Bytes from the server, as frames: whole, in an order the protocol allows. Numbers are from RFC 9113."""

from collections.abc import Iterator

from app.wallets.apple.apns import frames
from app.wallets.apple.apns.frames import BrokenProtocol

BLOCK_BYTES_MAX = 65_536  # of headers in pieces (CONTINUATION), which a hostile server sends for ever

Frame = tuple[int, int, int, bytes]  # type, flags, stream, payload


class FrameReader:
    """Cuts what comes into frames; headers in pieces come out as one HEADERS frame without padding."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_first = True
        self._block: tuple[int, int, bytes] | None = None  # flags, stream and beginning of unfinished headers

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole by now. Raises BrokenProtocol."""
        data = self._rest + data
        position, end = 0, len(data)
        head, head_bytes = frames.HEAD.unpack_from, frames.HEAD_BYTES
        try:
            while end - position >= head_bytes:
                word, flags, stream_id = head(data, position)
                after = position + head_bytes + (word >> 8)
                if word >> 8 > frames.FRAME_BYTES_MAX:
                    raise BrokenProtocol(f"a frame of {word >> 8} bytes", frames.FRAME_SIZE_ERROR)
                if after > end:
                    break
                payload = data[position + head_bytes : after]
                position = after
                if (
                    word & 0xFF == frames.HEADERS
                    and flags & _UNUSUAL == frames.END_HEADERS
                    and not self._block
                ):
                    yield frames.HEADERS, flags, stream_id, payload
                else:
                    yield from self._checked(word & 0xFF, flags, stream_id & frames.STREAM_MAX, payload)
        finally:
            self._rest = data[position:]

    def _checked(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Iterator[Frame]:
        if self._is_first and kind != frames.SETTINGS:
            raise BrokenProtocol("its first frame is no SETTINGS")  # 3.4
        self._is_first = False
        if self._block is not None:
            yield from self._continued(self._block, kind, flags, stream_id, payload)
        elif kind == frames.HEADERS:
            fragment = frames.header_fragment(payload, flags)
            if flags & frames.END_HEADERS:
                yield kind, flags, stream_id, fragment
            else:
                self._block = (flags, stream_id, fragment)
        elif kind == frames.DATA:
            yield kind, flags, stream_id, frames.without_padding(payload, flags)
        else:
            yield kind, flags, stream_id, payload

    def _continued(
        self, begun: tuple[int, int, bytes], kind: int, flags: int, stream_id: int, payload: bytes
    ) -> Iterator[Frame]:
        """6.10: nothing may come between the pieces."""
        began_with, began_on, beginning = begun
        if kind != frames.CONTINUATION or stream_id != began_on:
            raise BrokenProtocol("headers broken off")
        block = beginning + payload
        if len(block) > BLOCK_BYTES_MAX:
            raise BrokenProtocol("headers without an end", frames.ENHANCE_YOUR_CALM)
        if flags & frames.END_HEADERS:
            self._block = None
            yield frames.HEADERS, began_with | frames.END_HEADERS, stream_id, block
        else:
            self._block = (began_with, stream_id, block)


_UNUSUAL = frames.END_HEADERS | frames.PADDED | frames.HAS_PRIORITY
