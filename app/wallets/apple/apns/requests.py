"""A push as bytes: HEADERS and DATA, nearly all of them the same for every push. Numbers are from RFC 7541.

On one connection pushes differ in the device token, the apns-id and the stream. Everything else stands in the
server's table after the first push, where one more costs a byte a header. So the bytes around the token are
made once, and a push is one formatting of them. Apple asks for this coding: the path as a literal that is not
indexed, the rest indexed ("Sending notification requests to APNs").
"""

import secrets
from collections.abc import Mapping

from app.wallets.apple.apns import frames

PAYLOAD = b"{}"  # a push of a pass says nothing: Wallet asks our web service what changed
_PATH = b"/3/device/"

# Appendix A: places in the part of the table that is the same for all.
_POST, _HTTPS, _PATH_PLACE = b"\x83", b"\x87", 4
_PLACES = {":authority": 1, "authorization": 23}
_NEWEST = 62  # 2.3.3: the newest entry of the part that grows
_ENTRY_BYTES = 32  # 4.1: what an entry counts besides its name and its value

# 6.1 to 6.2.2: how a field begins, and how many bits of that byte its number has.
_KNOWN, _ADDED, _PASSING = (0x80, 7), (0x40, 6), (0x00, 4)
_TABLE_SIZE = (0x20, 5)  # 6.3

_ID, _ID_BYTES = "apns-id", 36


class PushRequests:
    """Writes the pushes of one connection under one authorization, in the order they are sent.

    `headers` are the constant ones, :authority before all others. `table_bytes` is how large a table the
    server grants (SETTINGS_HEADER_TABLE_SIZE); one too small for them means literals every time.
    """

    def __init__(self, headers: Mapping[str, str], *, id_prefix: str, table_bytes: int) -> None:
        self.headers = headers
        self._id_prefix = id_prefix
        names = [*headers, _ID]
        size = sum(map(len, [*names, *headers.values()])) + _ID_BYTES + _ENTRY_BYTES * len(names)
        self._is_indexed = size <= min(table_bytes, frames.HEADER_TABLE_BYTES)
        # 4.2: a table smaller than the usual one must be agreed to before anything else is said.
        is_small = table_bytes < frames.HEADER_TABLE_BYTES
        self._greeting = _number(table_bytes, *_TABLE_SIZE) if is_small else b""
        self._places = {name: place for place, name in enumerate(reversed(names), _NEWEST)}
        self._is_first = True
        self._templates: dict[int, bytes] = {}  # by the token's length: Apple's are of one, and may grow

    def write(self, push_token: str, stream_id: int) -> bytes:
        """The frames of one push."""
        template = self._templates.get(len(push_token)) or self._new_template(len(push_token))
        stream = stream_id.to_bytes(4, "big")
        return template % (stream, push_token.encode(), stream_id, stream)

    def _new_template(self, token_length: int) -> bytes:
        if self._is_first:  # it adds to the table, and so is never sent again
            self._is_first = False
            return self._template(token_length, is_known=False, greeting=self._greeting)
        template = self._template(token_length, is_known=self._is_indexed)
        self._templates[token_length] = template
        return template

    def _template(self, token_length: int, *, is_known: bool, greeting: bytes = b"") -> bytes:
        """A format that takes the stream, the token, the stream's number for the id, and the stream again."""
        fields = {name: self._field(name, value, is_known) for name, value in self.headers.items()}
        before = greeting + _POST + _HTTPS + fields.pop(":authority")
        before += _number(_PATH_PLACE, *_PASSING) + _number(len(_PATH) + token_length, 0x00, 7) + _PATH
        after = b"".join(fields.values())
        after += _number(self._places[_ID], *_PASSING) if is_known else self._name(_ID)
        after += bytes([_ID_BYTES]) + self._id_prefix.encode()
        length = len(before) + token_length + len(after) + _ID_BYTES - len(self._id_prefix)
        headers = frames.HEAD.pack(length << 8 | frames.HEADERS, frames.END_HEADERS, 0)[:-4]
        data = frames.HEAD.pack(len(PAYLOAD) << 8 | frames.DATA, frames.END_STREAM, 0)[:-4]
        constant = tuple(part.replace(b"%", b"%%") for part in (headers, before, after, data, PAYLOAD))
        return b"%b%%b%b%%b%b%%012x%b%%b%b" % constant

    def _field(self, name: str, value: str, is_known: bool) -> bytes:
        return _number(self._places[name], *_KNOWN) if is_known else self._name(name) + _text(value)

    def _name(self, name: str) -> bytes:
        """How a literal begins; it is added to the table where that has room (6.2.1), else not (6.2.2)."""
        start = _ADDED if self._is_indexed else _PASSING
        return _number(_PLACES[name], *start) if name in _PLACES else bytes([start[0]]) + _text(name)


def random_id_prefix() -> str:
    """A random UUID (RFC 9562, version 4) without its last twelve digits, which are the stream's number."""
    digits = secrets.token_hex(9)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-{secrets.choice('89ab')}{digits[15:]}-"


def _number(value: int, first: int, bits: int) -> bytes:
    """A number that begins in the low `bits` of a byte whose high ones are `first` (5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    encoded, rest = bytearray([first | limit]), value - limit
    while rest >= 128:
        encoded.append(rest & 127 | 128)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def _text(value: str) -> bytes:
    """A string as it is, not in Huffman's code (5.2)."""
    return _number(len(value), 0x00, 7) + value.encode("ascii")
