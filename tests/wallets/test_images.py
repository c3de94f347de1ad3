"""Pictures of passes: refused before decoding where they lie, drawn once where they repeat."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from app.wallets.images import PIXELS_MAX, SLOTS, ImageError, draw_stamps, open_png, parse_name, read_png
from app.wallets.templates import load_template

TEMPLATES = Path(__file__).parents[2] / "pass_templates"


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#4b2e20").save(out, "PNG")
    return out.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims these pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + b"\0" * 12
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a PNG"),
        (b"GIF89a" + b"\0" * 60, "not a PNG"),
        (claiming(0, 5), "broken"),
        (claiming(PIXELS_MAX, 2), "pixels"),
        (claiming(12000, 12000), "12000x12000"),
        (png(300, 300)[:150], "broken"),
    ],
)
def test_a_picture_that_lies_or_is_broken_is_refused(data, reason):
    with pytest.raises(ImageError) as refusal:
        open_png(data)

    assert reason in str(refusal.value)


def test_a_header_is_read_without_decoding():
    assert read_png(claiming(375, 144)) == (375, 144)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("icon.png", ("", "icon", 1)),
        ("ru.lproj/strip@2x.png", ("ru.lproj/", "strip", 2)),
        ("strip@4x.png", None),
        ("hero.png", None),
        ("icon.jpg", None),
    ],
)
def test_a_pictures_name_says_its_slot_and_scale(path, name):
    assert parse_name(path) == name


def test_sizes_are_exact_or_a_maximum_by_slot():
    assert SLOTS["icon"].fits((76, 76), 2)
    assert not SLOTS["icon"].fits((75, 76), 2)
    assert SLOTS["logo"].fits((40, 40), 1)
    assert not SLOTS["logo"].fits((161, 50), 1)


def test_a_strip_is_drawn_for_each_count_and_only_once():
    art = load_template(TEMPLATES / "stamps").stamp_art

    eight = draw_stamps(art, 8, 10)

    assert [read_png(eight[name]) for name in ("strip.png", "strip@2x.png", "strip@3x.png")] == [
        (375, 144),
        (750, 288),
        (1125, 432),
    ]
    assert draw_stamps(art, 8, 10) is eight
    assert draw_stamps(art, 7, 10)["strip.png"] != eight["strip.png"]
    assert sum(map(len, eight.values())) < 200_000


def test_more_stamps_than_places_is_a_full_card():
    art = load_template(TEMPLATES / "stamps").stamp_art

    assert draw_stamps(art, 12, 10) is draw_stamps(art, 10, 10)
    assert draw_stamps(art, -1, 10) is draw_stamps(art, 0, 10)
