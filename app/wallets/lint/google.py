"""What Google Wallet would refuse, drop or cut: classes and objects of a template's samples, and pictures."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlsplit

from app.wallets.content import PassContent
from app.wallets.google import schema
from app.wallets.google.compile import Ids, compile_class, compile_object
from app.wallets.google.compile.fields import layout_of
from app.wallets.google.compile.kinds import class_schema, object_schema
from app.wallets.google.compile.shown import SHARED_NAMES, Shown
from app.wallets.images import read_png
from app.wallets.lint.problem import Json, Problem, error, objects, warning
from app.wallets.templates import PassTemplate
from app.wallets.templates.google import GoogleKind

LOGO_SIDE_MIN = 660
HERO_WIDTH_MIN, HERO_RATIO_MIN = 1032, 3.0
VALUE_ADDED_HEADER_MAX, VALUE_ADDED_BODY_MAX = 60, 50
_SCHEMES = ("https", "tel", "mailto", "geo", "sms")
_CLASS_NEEDS: dict[GoogleKind, tuple[str, ...]] = {
    "loyalty": ("issuerName", "programName", "programLogo", "reviewStatus"),
    "offer": ("issuerName", "provider", "title", "redemptionChannel", "reviewStatus"),
    "giftCard": ("issuerName", "reviewStatus"),
    "eventTicket": ("issuerName", "eventName", "reviewStatus"),
    "flight": (
        "issuerName",
        "flightHeader.carrier.carrierIataCode",
        "flightHeader.flightNumber",
        "origin.airportIataCode",
        "destination.airportIataCode",
        "localScheduledDepartureDateTime",
        "reviewStatus",
    ),
    "transit": ("issuerName", "logo", "transitType", "reviewStatus"),
    "generic": (),
}
_OBJECT_NEEDS: dict[GoogleKind, tuple[str, ...]] = {
    "loyalty": ("state",),
    "offer": ("state",),
    "giftCard": ("state", "cardNumber"),
    "eventTicket": ("state",),
    "flight": ("state", "passengerName", "reservationInfo"),
    "transit": ("state", "tripType", "ticketLeg.originName"),
    "generic": ("cardTitle", "header"),
}
# What fits on a small screen, by Google's reference; longer texts end in dots.
_FITS = {"issuerName": 20, "programName": 20, "title": 60, "provider": 12, "accountId": 20, "accountName": 20}


def check_google(template: PassTemplate) -> Iterator[Problem]:
    """The faults of a template at Google. Errors only where the template speaks to Google at all.

    A template without a [google] table or google.json may be meant for Apple alone: then they are warnings.
    """
    is_meant = "google" in template.definition.model_fields_set or bool(template.google)
    for problem in (*_check_parts(template), *_check_pictures(template), *_check_samples(template)):
        yield problem if is_meant or problem.level == "warning" else replace(problem, level="warning")


def _check_parts(template: PassTemplate) -> Iterator[Problem]:
    for key, value in template.google.items():
        if key not in ("class", "object") or not isinstance(value, dict):
            text = 'holds {"class": {...}, "object": {...}}: put the key into one of them'
            yield error("google-json-part", f"google.json: {key}", text)


def _check_samples(template: PassTemplate) -> Iterator[Problem]:
    kind, google = layout_of(template).kind, template.definition.google
    for content in template.samples.values():
        shared = content if google.class_by else _shared(content)
        class_ = compile_class(
            template, shared, class_id="1.class", callback_url="https://example.com", image_url=_image_url
        )
        ids = Ids("1.object", "1.class", totp_key=b"0" * 20)
        object_ = compile_object(template, content, ids, image_url=_image_url)
        yield from _check_body(class_, class_schema(kind), "class", _CLASS_NEEDS[kind])
        yield from _check_body(object_, object_schema(kind), "object", _OBJECT_NEEDS[kind])
        yield from _check_smart_tap(object_)
    yield from _check_class_texts(template)


def _shared(content: PassContent) -> PassContent:
    values = {name: value for name, value in content.values.items() if name in SHARED_NAMES}
    return replace(content, values=values)


def _image_url(data: bytes) -> str:
    return "https://example.com/picture.png"


def _check_body(body: Json, schema_name: str, part: str, needs: tuple[str, ...]) -> Iterator[Problem]:
    for fault in schema.faults(schema_name, body):
        yield error("google-unknown-field", f"google {part}: {fault.where}", fault.text)
    for path in needs:
        if not _at(body, path):
            text = "is required at Google: give the semantics or text it comes from, or set it in google.json"
            yield error("google-missing-key", f"google {part}: {path}", text)
    for key, most in _FITS.items():
        if len(text := str(body.get(key, ""))) > most:
            words = f"{text!r} has {len(text)} characters; a small screen shows {most}"
            yield warning("google-long-text", f"google {part}: {key}", words)
    yield from _check_offers(body, part)
    yield from _check_addresses(body, f"google {part}")


def _at(body: Json, path: str) -> Any:
    node: Any = body
    for key in path.split("."):
        node = cast("Json", node).get(key) if isinstance(node, dict) else None
    return node


def _check_offers(body: Json, part: str) -> Iterator[Problem]:
    for path, offer in objects(body, "valueAddedModuleData"):
        for key, most in (("header", VALUE_ADDED_HEADER_MAX), ("body", VALUE_ADDED_BODY_MAX)):
            text = str(_at(offer, f"{key}.defaultValue.value") or "")
            if len(text) > most:
                words = f"{text!r} has {len(text)} characters; Google cuts it off after {most}"
                yield error("google-text-cut", f"google {part}: {path}.{key}", words)


def _check_addresses(node: Any, where: str) -> Iterator[Problem]:
    """`google-address` for every uri that is not https or one of the few others a phone opens."""
    if isinstance(node, dict):
        for key, value in cast("Json", node).items():
            if key in ("uri", "url") and isinstance(value, str) and urlsplit(value).scheme not in _SCHEMES:
                text = f"{value!r} must begin with https:// (or tel:, mailto:, geo:, sms:)"
                yield error("google-address", f"{where}: {key}", text)
            yield from _check_addresses(value, where)
    elif isinstance(node, list):
        for item in cast("list[Any]", node):
            yield from _check_addresses(item, where)


def _check_smart_tap(object_: Json) -> Iterator[Problem]:
    value = str(object_.get("smartTapRedemptionValue", ""))
    if not value.isascii():
        text = f"{value!r} must be ASCII: terminals read nothing else"
        yield error("google-smart-tap", "google.smart_tap.value", text)


def _check_class_texts(template: PassTemplate) -> Iterator[Problem]:
    """`google-class-by` for a text of the class that names what only one member has."""
    if template.definition.google.class_by:
        return
    content = next(iter(template.samples.values()))
    shared = Shown(template, content, _image_url)
    for where, source in _class_sources(template):
        if not shared.is_shared(source):
            text = "all passes share the class, and this differs: set google.class_by, one class for each"
            yield error("google-class-by", where, text)


def _class_sources(template: PassTemplate) -> Iterator[tuple[str, str]]:
    definition, google = template.definition, template.definition.google
    yield "organization", google.issuer_name or definition.organization
    if layout_of(template).kind in ("loyalty", "offer", "giftCard"):
        yield "logo_text", google.title or definition.logo_text or definition.description
    if layout_of(template).kind in ("eventTicket", "flight"):
        for key in _EVENT_TAGS:
            if isinstance(tag := definition.semantics.get(key), str):
                yield f"semantics.{key}", tag


_EVENT_TAGS = (
    "eventName",
    "venueName",
    "eventStartDate",
    "eventEndDate",
    "airlineCode",
    "flightNumber",
    "departureAirportCode",
    "destinationAirportCode",
    "originalDepartureDate",
)


def _check_pictures(template: PassTemplate) -> Iterator[Problem]:
    google, pictures = template.definition.google, template.google_images
    named = {each.file for each in google.images} | {each.image for each in google.value_added if each.image}
    for name in sorted(named - pictures.keys()):
        yield error("google-image-missing", f"images/google/{name}", "is named in [google] and not there")
    for name, data in pictures.items():
        width, height = read_png(data)
        if name == "logo.png" and (width != height or width < LOGO_SIDE_MIN):
            text = f"has {width}x{height} pixels; Google wants a square of {LOGO_SIDE_MIN} or more"
            yield error("google-image-size", f"images/google/{name}", text)
        if name == "hero.png" and (width < HERO_WIDTH_MIN or width / height < HERO_RATIO_MIN):
            text = f"has {width}x{height} pixels; Google wants 1032x336, at least three times as wide as high"
            yield error("google-image-size", f"images/google/{name}", text)
