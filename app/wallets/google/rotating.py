"""Reading a rotating barcode at the till: which card it says it is, and whether its code is that card's now.

The phone makes the code by itself, offline (RFC 6238). So a photograph of it is worthless a minute later.
"""

import hmac
import re
import struct
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from app.wallets.templates.google import RotatingBarcode

STEPS_OFF = 1  # before and after now: a phone's clock, and the seconds between showing and reading

_HOLDER = re.compile(
    r"\{\{.*?\}\}|\{totp_value_0\}|\{totp_timestamp_seconds\}|\{totp_timestamp_millis\}", re.DOTALL
)


@dataclass(frozen=True)
class Scanned:
    """What a scanned text holds: what it may name its card by, and its code."""

    names: tuple[str, ...]
    code: str


def read(rotating: RotatingBarcode, text: str) -> Scanned | None:
    """The parts of a scanned text; None when it is not of this pattern. Pure."""
    match = _expression(rotating.pattern, rotating.digits).fullmatch(text)
    if match is None:
        return None
    groups = match.groupdict()
    names = tuple(value for name, value in groups.items() if name.startswith("name"))
    return Scanned(names, groups.get("code", ""))


@lru_cache(maxsize=256)
def _expression(pattern: str, digits: int) -> re.Pattern[str]:
    parts: list[str] = []
    after, names = 0, 0
    has_code = False
    for match in _HOLDER.finditer(pattern):
        parts.append(re.escape(pattern[after : match.start()]))
        holder, after = match.group(), match.end()
        if holder.startswith("{{"):
            parts.append(f"(?P<name{names}>.{{1,128}}?)")
            names += 1
        elif holder == "{totp_value_0}":
            parts.append("(?P=code)" if has_code else f"(?P<code>[0-9]{{{digits}}})")
            has_code = True
        else:
            parts.append("[0-9]{1,13}")  # the code itself says when it was made
    parts.append(re.escape(pattern[after:]))
    return re.compile("".join(parts), re.DOTALL)


def step_of(code: str, key: bytes, rotating: RotatingBarcode, *, now: datetime) -> int | None:
    """The period a code was made in, if it is this card's and of about now; else None."""
    current = int(now.timestamp()) // rotating.period_seconds
    found = None
    for step in range(current - STEPS_OFF, current + STEPS_OFF + 1):
        if hmac.compare_digest(totp(key, step, rotating.digits).encode(), code.encode()):
            found = step
    return found


def totp(key: bytes, step: int, digits: int) -> str:
    """RFC 6238 with SHA-1: the code of a period. `digits` 6 to 10."""
    digest = hmac.digest(key, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF  # RFC 4226, section 5.3
    return f"{number % 10**digits:0{digits}}"
