"""How many billed parts a text becomes.

A text of the GSM 7-bit alphabet fits 160 units in one part, 153 in each of several; any other letter turns
the whole text into UCS-2 with 70 and 67. The characters of the extension table take two units, and so does
an emoji in UCS-2 (a surrogate pair). Neither pair may be split between parts, so the last unit of a part
can stay empty. Source: 3GPP TS 23.038, 6.2.1 (alphabets), TS 23.040, 9.2.3.24.1 (6 bytes for the header).
"""

from dataclasses import dataclass
from typing import Literal

Encoding = Literal["GSM-7", "UCS-2"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_LIMITS: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


@dataclass(frozen=True)
class Segments:
    """`units` used in `parts` SMS, and how many units are `left` in the last one."""

    encoding: Encoding
    units: int
    parts: int
    left: int


def count(text: str) -> Segments:
    """The encoding and number of parts of a text, as the networks bill it. An empty text is one part."""
    encoding: Encoding = "GSM-7" if all(c in _BASIC or c in _EXTENSION for c in text) else "UCS-2"
    widths = [_width(character, encoding) for character in text]
    single, several = _LIMITS[encoding]
    units = sum(widths)
    if units <= single:
        return Segments(encoding, units, 1, single - units)

    parts, used = 1, 0
    for width in widths:
        if used + width > several:
            parts, used = parts + 1, 0
        used += width
    return Segments(encoding, units, parts, several - used)


def _width(character: str, encoding: Encoding) -> int:
    if encoding == "GSM-7":
        return 2 if character in _EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1
