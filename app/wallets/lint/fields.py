"""Fields: their keys, values, formats, messages, and how many a style shows."""

import re
from collections.abc import Iterator

from app.wallets.lint.problem import Json, Problem, check_date, error, is_number, items, objects, warning
from app.wallets.lint.top_level import STYLES

LISTS = (
    "headerFields",
    "primaryFields",
    "secondaryFields",
    "auxiliaryFields",
    "backFields",
    "additionalInfoFields",
    "footerFields",
)
FRONT_ROW_MAX = 4
_MOST = {"headerFields": 3, "primaryFields": 1, "secondaryFields": 4, "auxiliaryFields": 4, "footerFields": 1}
_MOST_BY_STYLE = {
    "boardingPass": {"primaryFields": 2, "auxiliaryFields": 5},
    "eventTicket": {"auxiliaryFields": 8},  # two rows of four
    "posterGeneric": {"primaryFields": 4},
}
_ONLY_IN = {
    "footerFields": ("posterGeneric",),
    "additionalInfoFields": ("eventTicket", "boardingPass"),
}
_SQUARE = ("PKBarcodeFormatQR", "PKBarcodeFormatAztec")
_ALIGNMENTS = frozenset(f"PKTextAlignment{each}" for each in ("Left", "Center", "Right", "Natural"))
_DETECTORS = frozenset(
    f"PKDataDetectorType{each}" for each in ("PhoneNumber", "Link", "Address", "CalendarEvent")
)
_NUMBER_STYLES = frozenset(
    f"PKNumberStyle{each}" for each in ("Decimal", "Percent", "Scientific", "SpellOut")
)
_DATE_STYLES = frozenset(f"PKDateStyle{each}" for each in ("None", "Short", "Medium", "Long", "Full"))
_ENUMS = {
    "textAlignment": _ALIGNMENTS,
    "numberStyle": _NUMBER_STYLES,
    "dateStyle": _DATE_STYLES,
    "timeStyle": _DATE_STYLES,
}
_TRANSIT = frozenset(f"PKTransitType{each}" for each in ("Air", "Boat", "Bus", "Generic", "Train"))


def check_fields(pass_json: Json) -> Iterator[Problem]:
    """The faults in the fields of every style of the pass."""
    for style in STYLES:
        fields = pass_json.get(style)
        if isinstance(fields, dict):
            yield from _check_style(style, fields, pass_json)  # pyright: ignore[reportUnknownArgumentType]


def _check_style(style: str, fields: Json, pass_json: Json) -> Iterator[Problem]:
    yield from _check_keys(style, fields)
    yield from _check_transit(style, fields)
    yield from _check_counts(style, fields, pass_json)
    for name in LISTS:
        for path, field in objects(fields, name):
            where = f"{style}.{path}"
            yield from _check_field(field, where)
            if "textAlignment" in field and name in ("primaryFields", "backFields"):
                text = "primary and back fields have no alignment of their own: remove it"
                yield error("alignment-not-allowed", where, text)


def _check_keys(style: str, fields: Json) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name in LISTS:
        for path, field in objects(fields, name):
            where, key = f"{style}.{path}", field.get("key")
            if not isinstance(key, str) or not key:
                yield error("field-without-key", where, "needs a key")
            elif key in seen:
                text = f"key {key!r} is used by {seen[key]} too: keys are unique in the whole pass"
                yield error("duplicate-field-key", where, text)
            else:
                seen[key] = where
    for key in fields:
        if key not in LISTS and key != "transitType":
            yield warning("unknown-key", f"{style}.{key}", "is not a list of fields: check its spelling")


def _check_transit(style: str, fields: Json) -> Iterator[Problem]:
    transit = fields.get("transitType")
    if style == "boardingPass" and str(transit) not in _TRANSIT:
        text = f"a boarding pass needs one of {', '.join(sorted(_TRANSIT))} (transit in template.toml)"
        yield error("transit-type", f"{style}.transitType", text)
    elif style != "boardingPass" and transit is not None:
        yield error("transit-type", f"{style}.transitType", "only boarding passes have one: remove it")


def _check_counts(style: str, fields: Json, pass_json: Json) -> Iterator[Problem]:
    most_by_list = _MOST | _MOST_BY_STYLE.get(style, {})
    counts = {name: count for name in LISTS if (count := len(items(fields, name)))}
    for name, count in counts.items():
        styles = _ONLY_IN.get(name)
        if styles and style not in styles:
            yield error("placement-wrong-style", f"{style}.{name}", f"only {' and '.join(styles)} show these")
        elif count > most_by_list.get(name, count):
            text = f"has {count} fields; a {style} shows at most {most_by_list[name]}"
            yield error("too-many-fields", f"{style}.{name}", text)
    together = counts.get("secondaryFields", 0) + counts.get("auxiliaryFields", 0)
    first = next((barcode.get("format") for _, barcode in objects(pass_json, "barcodes")), None)
    if style in ("storeCard", "coupon", "generic") and first in _SQUARE and together > FRONT_ROW_MAX:
        text = f"{together} secondary and auxiliary fields; {FRONT_ROW_MAX} show beside a square barcode"
        yield error("too-many-front-fields", style, text)


def _check_field(field: Json, where: str) -> Iterator[Problem]:
    value = field.get("value")
    if not isinstance(value, str) and not is_number(value):
        yield error("field-without-value", where, f"needs a value that is a text or a number, not {value!r}")
    message = field.get("changeMessage")
    if message is not None and "%@" not in str(message):
        text = f"{message!r} has no %@: the phone would say no more than 'changed'"
        yield error("change-message-without-value", f"{where}.changeMessage", text)
    for key, allowed in _ENUMS.items():
        if key in field and str(field[key]) not in allowed:
            yield error(
                "unknown-value",
                f"{where}.{key}",
                f"{field[key]!r} is not one of {', '.join(sorted(allowed))}",
            )
    yield from _check_format(field, where)
    yield from _check_markup(field, where)
    for each in items(field, "dataDetectorTypes"):
        if str(each) not in _DETECTORS:
            yield error(
                "unknown-value", f"{where}.dataDetectorTypes", f"{each!r} is not a kind of data detector"
            )


def _check_format(field: Json, where: str) -> Iterator[Problem]:
    if "currencyCode" in field and "numberStyle" in field:
        yield error("currency-with-number-style", where, "a field is money or a number: remove numberStyle")
    if ("currencyCode" in field or "numberStyle" in field) and not is_number(field.get("value")):
        text = f"must be a JSON number for the phone to format it, not {field.get('value')!r}"
        yield error("number-as-text", f"{where}.value", text)
    code = field.get("currencyCode")
    if code is not None and not re.fullmatch(r"[A-Z]{3}", str(code)):
        yield error("bad-currency", f"{where}.currencyCode", f"{code!r} is not ISO 4217: write KZT or EUR")
    if "dateStyle" in field or "timeStyle" in field:
        yield from check_date(field.get("value"), f"{where}.value")


def _check_markup(field: Json, where: str) -> Iterator[Problem]:
    markup = str(field.get("attributedValue", ""))
    rest = re.sub(r"<a href=(\"[^\"<>]*\"|'[^'<>]*')>|</a>", "", markup)
    if "<" in rest:
        text = "may hold no markup but <a href='...'>...</a>"
        yield error("markup-not-a-link", f"{where}.attributedValue", text)
