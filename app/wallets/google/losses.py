"""The loss report: what of a template Google Wallet does not show, and what it does instead."""

from collections.abc import Iterator

from app.wallets.content import Loss
from app.wallets.google.compile.barcodes import TYPES, can_show, chosen
from app.wallets.google.compile.behaviour import LOCATIONS_MAX
from app.wallets.google.compile.fields import ROWS_MAX, TEXTS_SHOWN_MAX, layout_of
from app.wallets.google.compile.shown import Shown
from app.wallets.templates import PassTemplate

_ONLY_APPLE = {
    "logo_symbol": "is an Apple symbol",
    "suppress_strip_shine": "Google puts no shine on pictures",
    "preferred_style_schemes": "are Apple's designs; rows of [google] lay the card out",
    "beacons": "Google knows no beacons; locations bring the card up",
    "max_distance": "Google chooses the distance itself",
    "nfc": "is Apple's; [google.smart_tap] is what Google's terminals read",
    "featured_actions": "are Apple's; [[google.links]] and [google.app_link] lead to pages",
    "links": "are Apple's; use [[google.links]]",
    "app": "names an App Store app; [google.app_link] opens one on Android",
}
_APPLE_PICTURES = {"background", "footer", "thumbnail", "primaryLogo", "secondaryLogo", "artwork"}


def losses(template: PassTemplate) -> tuple[Loss, ...]:
    """Everything of a template that Google does not show, by its place in template.toml."""
    found = (*_looks(template), *_fields(template), *_codes(template), *_rest(template), *_pictures(template))
    return tuple(Loss("google", where, text) for where, text in found)


def _looks(template: PassTemplate) -> Iterator[tuple[str, str]]:
    colors = template.definition.colors
    named = {"foreground": colors.foreground, "label": colors.label, "strip": colors.strip}
    given = [name for name, color in named.items() if color]
    yield (
        "colors",
        f"{' and '.join(given)}: Google chooses black or white text for the background by itself",
    )


def _fields(template: PassTemplate) -> Iterator[tuple[str, str]]:
    layout = layout_of(template)
    rings = {field.key for field in (layout.points, layout.secondary_points) if field}
    for field in template.definition.fields:
        where = f"fields.{field.key}"
        if "google" not in field.wallets:
            continue
        if field.change_message and field.key in rings:
            yield where, "Google words the message of its change itself: change_message is not shown"
        elif field.change_message and "message" not in _names(template, field.value):
            yield where, "a change of it rings no Android phone: Google rings for the balance fields alone"
        if field.format and (field.format.relative or field.format.number in ("scientific", "spell_out")):
            yield where, "Google formats no values: it shows the text"
        if field.semantics:
            yield where, "semantics of a field are Apple's"
    for key in layout.rest:
        yield f"fields.{key}", f"the card has {ROWS_MAX} rows, all full: it stands below the card"
    for owner, fields in (("class", layout.class_texts), ("object", layout.object_texts)):
        for field in fields[TEXTS_SHOWN_MAX:]:
            text = f"Google shows {TEXTS_SHOWN_MAX} texts of the {owner}; this one comes after them"
            yield f"fields.{field.key}", text


def _names(template: PassTemplate, source: str) -> frozenset[str]:
    return template.text(source, template.languages[0]).names


def _codes(template: PassTemplate) -> Iterator[tuple[str, str]]:
    for language, content in template.samples.items():
        shown = Shown(template, content, lambda data: "")
        shown_barcode = chosen(shown)
        for index, each in enumerate(template.definition.barcodes):
            message = shown.text(each.message)
            if message and not can_show(each.format, message):
                yield (
                    f"barcodes.{index}",
                    f"Google's {TYPES[each.format]} cannot hold {message!r} ({language})",
                )
            elif each != shown_barcode and language == template.languages[0]:
                yield f"barcodes.{index}", "Google shows one barcode, the first it can draw"


def _rest(template: PassTemplate) -> Iterator[tuple[str, str]]:
    definition = template.definition
    for key, text in _ONLY_APPLE.items():
        if getattr(definition, key):
            yield key, text
    if definition.relevant_date or definition.relevant_dates:
        yield "relevant_dates", "Google brings a pass up by its own dates: events, departures, expiry"
    if len(definition.locations) > LOCATIONS_MAX:
        yield "locations", f"Google takes {LOCATIONS_MAX}: the first of them"
    if any(each.text for each in definition.locations):
        yield "locations", "Google words the message near a place itself"
    if layout_of(template).kind == "generic" and definition.google.info:
        yield "google.info", "a generic pass has no table of labelled values"


def _pictures(template: PassTemplate) -> Iterator[tuple[str, str]]:
    if "logo.png" not in template.google_images:
        text = "is enlarged for Google: put a logo.png of 660x660 or more into images/google/"
        yield "images/logo.png", text
    for path in template.static_files:
        folder, _, name = path.rpartition("/")
        slot = name.removesuffix(".png").partition("@")[0]
        if path.endswith(".png") and folder:
            yield path, "Google has one picture for all languages"
        elif path.endswith(".png") and slot in _APPLE_PICTURES and "@" not in name:
            yield f"images/{name}", "Google has no place for it"
