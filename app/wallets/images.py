"""Pictures of passes: what a PNG says of itself before it is decoded, the slots, and drawn stamp strips."""

import io
import re
import struct
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, cast

from PIL import Image

PIXELS_MAX = 4_000_000  # a 17 KB file can claim 144 million and take 700 MB to decode
SCALES = (1, 2, 3)
STRIP = (375, 144)  # points

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR = struct.Struct(">I4sII")


class ImageError(ValueError):
    """A picture that cannot be used. The message says why."""


def read_png(data: bytes) -> tuple[int, int]:
    """Width and height in pixels from the header alone; nothing is decoded.

    Raises ImageError for what is not a PNG, and for one with more than PIXELS_MAX pixels.
    """
    if not data.startswith(_SIGNATURE) or len(data) < 33:
        raise ImageError("is not a PNG file: export it as PNG")
    length, kind, width, height = _IHDR.unpack_from(data, len(_SIGNATURE))
    if kind != b"IHDR" or length != 13 or not width or not height:
        raise ImageError("is a broken PNG file: export it again")
    if width * height > PIXELS_MAX:
        raise ImageError(f"has {width}x{height} pixels; at most {PIXELS_MAX} in all are allowed")
    return width, height


def open_png(data: bytes) -> Image.Image:
    """The decoded picture, RGBA. Raises ImageError, before decoding where the header claims too much."""
    read_png(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                return image.convert("RGBA")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning) as error:
            raise ImageError("is a broken PNG file: export it again") from error


@dataclass(frozen=True)
class Slot:
    """A place for a picture: its size in points, exact or at most, and older sizes that still work."""

    width: int
    height: int
    is_maximum: bool = False
    older: tuple[tuple[int, int], ...] = ()

    def fits(self, pixels: tuple[int, int], scale: int) -> bool:
        """Whether a picture of these pixels is right at this scale (1, 2 or 3)."""
        if self.is_maximum:
            return pixels[0] <= self.width * scale and pixels[1] <= self.height * scale
        sizes = ((self.width, self.height), *self.older)
        return pixels in [(width * scale, height * scale) for width, height in sizes]

    def describe(self, scale: int) -> str:
        """The size wanted, in words."""
        limit = "must be at most" if self.is_maximum else "must be"
        return f"{limit} {self.width * scale}x{self.height * scale}"


# Apple's sizes in points (apple/pass-builder, PassPackage.swift); the older ones from the archived guides.
SLOTS = {
    "icon": Slot(38, 38, older=((29, 29),)),
    "logo": Slot(160, 50, is_maximum=True),
    "strip": Slot(*STRIP, older=((375, 123), (375, 98), (320, 84), (320, 110), (320, 123))),
    "thumbnail": Slot(90, 90, is_maximum=True),
    "background": Slot(345, 505, older=((180, 220),)),
    "artwork": Slot(358, 448),
    "footer": Slot(286, 15, is_maximum=True),
    "primaryLogo": Slot(126, 30, is_maximum=True),
    "secondaryLogo": Slot(135, 12, is_maximum=True),
    "personalizationLogo": Slot(150, 40, is_maximum=True),
}
_NAME = re.compile(r"((?:[^/]+\.lproj/)?)([A-Za-z]+)(?:@([23])x)?\.png")


def parse_name(path: str) -> tuple[str, str, int] | None:
    """Folder, slot and scale of a picture's path in the pass; None for one that is none of Wallet's.

    "ru.lproj/strip@2x.png" is ("ru.lproj/", "strip", 2).
    """
    match = _NAME.fullmatch(path)
    if match is None or match[2] not in SLOTS:
        return None
    return match[1], match[2], int(match[3] or 1)


@dataclass(frozen=True)
class StampArt:
    """The pictures a stamp strip is put together from, as PNG bytes in the size of @3x."""

    FILES: ClassVar[tuple[str, ...]] = ("background.png", "full.png", "empty.png")

    background: bytes
    full: bytes
    empty: bytes


def draw_stamps(art: StampArt, count: int, of: int) -> dict[str, bytes]:
    """The strip that shows `count` of `of` stamps: strip.png, @2x and @3x, by name.

    Drawn once for each count and kept (some 140 KB each), however many passes show it. `count` is cut to
    what the card holds.
    """
    return _strip(art, max(0, min(count, of)), of)


def draw_stamps_at(art: StampArt, count: int, of: int, size: tuple[int, int]) -> bytes:
    """One picture of `count` of `of` stamps in this size, the background cut to its proportions."""
    return encoded(_drawn(art, count, of, size))


@lru_cache(maxsize=128)
def _strip(art: StampArt, count: int, of: int) -> dict[str, bytes]:
    width, height = STRIP
    largest = _drawn(art, count, of, (width * SCALES[-1], height * SCALES[-1]))
    return {
        _scaled_name("strip", scale): encoded(resized(largest, (width * scale, height * scale)))
        for scale in SCALES
    }


def _scaled_name(slot: str, scale: int) -> str:
    return f"{slot}.png" if scale == 1 else f"{slot}@{scale}x.png"


def _drawn(art: StampArt, count: int, of: int, size: tuple[int, int]) -> Image.Image:
    width, height = size
    strip = cropped(open_png(art.background), size)
    rows = 1 if of <= 5 else 2
    columns = -(-of // rows)
    cell = min((width - width * 36 // STRIP[0]) // columns, (height - height * 12 // STRIP[1]) // rows)
    side = round(cell * 0.86)
    full, empty = (resized(open_png(picture), (side, side)) for picture in (art.full, art.empty))
    left, top = (width - columns * cell) // 2, (height - rows * cell) // 2
    for index in range(of):
        row, column = divmod(index, columns)
        in_row = min(columns, of - row * columns)
        x = left + ((columns - in_row) * cell) // 2 + column * cell + (cell - side) // 2
        y = top + row * cell + (cell - side) // 2
        strip.alpha_composite(full if index < count else empty, (x, y))
    return strip.convert("RGB")


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The whole picture in another size."""
    if image.size == size:
        return image
    return cast("Image.Image", cast("Any", image).resize(size, Image.Resampling.LANCZOS))


def cropped(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture in this size, its proportions kept."""
    width, height = image.size
    if width * size[1] > height * size[0]:
        wanted = (height * size[0] // size[1], height)
    else:
        wanted = (width, width * size[1] // size[0])
    left, top = (width - wanted[0]) // 2, (height - wanted[1]) // 2
    return resized(image.crop((left, top, left + wanted[0], top + wanted[1])), size)


def encoded(image: Image.Image) -> bytes:
    """A picture as a small PNG of at most 256 colours."""
    out = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
