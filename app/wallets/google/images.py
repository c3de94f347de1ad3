"""Pictures as Google wants them, from images/google/ or made from Apple's, and where we serve them.

Google fetches a picture once and keeps it by its address, so the address is the hash of the bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from PIL import Image

from app.wallets.images import cropped, draw_stamps_at, encoded, open_png, resized
from app.wallets.templates import PassTemplate
from app.wallets.text import cleaned

LOGO = (660, 660)  # Google cuts a circle out of it
HERO = (1032, 336)
LOGO_MARGIN = 0.15  # of the side, so that the circle cuts nothing off

PATH = "/images"


@dataclass(frozen=True)
class Pictures:
    """The pictures of a template that are the same in every pass, as PNG."""

    logo: bytes
    wide_logo: bytes | None
    hero: bytes | None


@lru_cache(maxsize=256)
def pictures_of(template: PassTemplate) -> Pictures:
    """What the template has for Google; made from Apple's logo and strip where it has none."""
    own = template.google_images
    strip = _largest(template.static_files, "strip")
    hero = own.get("hero.png") or (encoded(cropped(open_png(strip).convert("RGB"), HERO)) if strip else None)
    return Pictures(own.get("logo.png") or _logo(template), own.get("wide_logo.png"), hero)


@lru_cache(maxsize=512)
def stamps_hero(template: PassTemplate, count: int) -> bytes:
    """The hero picture that shows this many stamps; drawn once for each count."""
    stamps, art = template.definition.stamps, template.stamp_art
    assert stamps is not None
    assert art is not None
    return draw_stamps_at(art, count, stamps.of, HERO)


def stamps_of(template: PassTemplate, count: str) -> bytes | None:
    """The hero of a stamp card whose count is written so; None where the template draws no stamps."""
    definition = template.definition.stamps
    if definition is None or template.stamp_art is None:
        return None
    text = cleaned(count)
    number = int(text) if text.removeprefix("-").isdecimal() else 0
    return stamps_hero(template, max(0, min(number, definition.of)))


class HostedImages:
    """The pictures Google may ask us for, by the SHA-256 of their bytes. Filled as bodies are compiled."""

    def __init__(self, public_url: str, templates: Mapping[str, PassTemplate]) -> None:
        self._url = public_url
        self._templates = templates
        self._by_digest: dict[str, bytes] = {}
        self._is_complete = False
        self._lock = Lock()

    def url(self, data: bytes) -> str:
        """The public address of a picture, which never changes its meaning."""
        digest = hashlib.sha256(data).hexdigest()
        self._by_digest[digest] = data
        return f"{self._url}{PATH}/{digest}.png"

    def known(self) -> dict[str, bytes]:
        """The pictures whose addresses were asked for, by hash."""
        return {**self._by_digest}

    def find(self, digest: str) -> bytes | None:
        """The picture with this hash, or None. The first unknown hash has every picture drawn, once."""
        if digest not in self._by_digest and not self._is_complete:
            with self._lock:  # asked from a thread, once
                self._complete()
        return self._by_digest.get(digest)

    def _complete(self) -> None:
        for template in self._templates.values():
            pictures = pictures_of(template)
            for data in (pictures.logo, pictures.wide_logo, pictures.hero, *template.google_images.values()):
                if data:
                    self.url(data)
            stamps = template.definition.stamps
            if stamps and template.stamp_art:
                for count in range(stamps.of + 1):
                    self.url(stamps_hero(template, count))
        self._is_complete = True


def _largest(files: Mapping[str, bytes], slot: str) -> bytes | None:
    return next(
        (files[name] for scale in ("@3x", "@2x", "") if (name := f"{slot}{scale}.png") in files), None
    )


def _logo(template: PassTemplate) -> bytes:
    """The icon in the middle of a square of the card's colour: soft, for it is enlarged. Better draw one."""
    square = Image.new("RGB", LOGO, template.definition.colors.background)
    icon = _largest(template.static_files, "logo") or _largest(template.static_files, "icon")
    if icon is None:
        return encoded(square)
    picture = open_png(icon)
    room = LOGO[0] * (1 - 2 * LOGO_MARGIN)
    factor = min(room / picture.width, room / picture.height)
    picture = resized(
        picture, (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    )
    square.paste(picture, ((LOGO[0] - picture.width) // 2, (LOGO[1] - picture.height) // 2), picture)
    return encoded(square)
