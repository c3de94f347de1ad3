"""The files of a pass: names, the icon, sizes of pictures, string tables."""

import re
from collections.abc import Iterator, Mapping

from app.wallets.images import SLOTS, ImageError, open_png, parse_name, read_png
from app.wallets.lint.problem import Json, Problem, error, warning

RESERVED = frozenset({"pass.json", "manifest.json", "signature"})

_SAFE = re.compile(r"([a-z]{2,3}(-[A-Za-z0-9]{2,8})*\.lproj/)?[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_STRING = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*=\s*"((?:[^"\\]|\\.)*)"\s*;\s*')
_USED_BY = {  # a picture in another style is carried around and never shown
    "strip": ("storeCard", "coupon", "eventTicket"),
    "thumbnail": ("generic", "eventTicket"),
    "background": ("eventTicket", "posterGeneric"),
    "footer": ("boardingPass",),
    "artwork": ("eventTicket", "posterGeneric"),
}


def check_files(pass_json: Json, files: Mapping[str, bytes]) -> Iterator[Problem]:
    """The faults of the files beside pass.json, by path in the pass."""
    if not any(path.rpartition("/")[2] in ("icon.png", "icon@2x.png", "icon@3x.png") for path in files):
        yield error(
            "icon-missing", "icon.png", "is required: without an icon Wallet silently refuses the pass"
        )
    for path, data in files.items():
        if not _SAFE.fullmatch(path):
            yield error(
                "unsafe-file-name", path, "use letters, digits, dots, @, - and _, at most in xx.lproj/"
            )
        elif path in RESERVED:
            yield error("reserved-file-name", path, "is written by the signing: rename the file")
        elif path.endswith(".png"):
            yield from _check_image(path, data)
        elif path.endswith(".lproj/pass.strings"):
            yield from _check_strings(path, data)
        else:
            yield warning("unknown-file", path, "is not a file that Wallet reads")
    yield from _check_scales(files)
    yield from _check_uses(pass_json, files)


def _check_scales(files: Mapping[str, bytes]) -> Iterator[Problem]:
    for path in files:
        name = parse_name(path)
        if name is None:
            continue
        folder, slot, scale = name
        for wanted in (2, 3):
            missing = f"{folder}{slot}@{wanted}x.png"
            first = next(s for s in (1, 2, 3) if f"{folder}{slot}{'' if s == 1 else f'@{s}x'}.png" in files)
            if scale == first and missing not in files:
                yield warning(
                    "scale-missing", missing, "is missing: the picture will be blurred on such screens"
                )


def _check_image(path: str, data: bytes) -> Iterator[Problem]:
    name = parse_name(path)
    if name is None:
        yield warning("unknown-file", path, f"is not one of Wallet's pictures: {', '.join(SLOTS)}")
        return
    try:
        size = read_png(data)
        open_png(data)
    except ImageError as fault:
        yield error("image-broken", path, str(fault))
        return
    _, slot, scale = name
    if not SLOTS[slot].fits(size, scale):
        text = f"has {size[0]}x{size[1]} pixels; {SLOTS[slot].describe(scale)}"
        yield error("image-wrong-size", path, text)


def _check_uses(pass_json: Json, files: Mapping[str, bytes]) -> Iterator[Problem]:
    slots = {name[1] for path in files if (name := parse_name(path))}
    for slot, styles in _USED_BY.items():
        if slot in slots and not any(style in pass_json for style in styles):
            yield warning("image-wrong-style", f"{slot}.png", f"is shown only by {', '.join(styles)}")
    if "eventTicket" in pass_json and {"strip", "background"} <= slots:
        text = "an event ticket with a strip shows neither background nor thumbnail"
        yield warning("image-wrong-style", "background.png", text)


def _check_strings(path: str, data: bytes) -> Iterator[Problem]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        yield error("strings-not-utf8", path, "save it as UTF-8: other wallets read nothing else")
        return
    position = 0
    while position < len(text):
        match = _STRING.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            yield error("strings-syntax", f"{path}:{line}", 'must be lines of "text" = "translation";')
            return
        position = match.end()
