"""The barcode of an object, and the one that changes by itself: RFC 6238, on the phone, offline."""

import re

from app.wallets.google.compile.shown import Json, Shown, given
from app.wallets.templates.definition import Barcode

TYPES = {
    "qr": "QR_CODE",
    "pdf417": "PDF_417",
    "aztec": "AZTEC",
    "code128": "CODE_128",
    "ean13": "EAN_13",
    "code39": "CODE_39",
    "codabar": "CODABAR",
    "i2of5": "ITF_14",  # the only length of the format that Google draws
}
_CAN_HOLD = {
    "ean13": re.compile(r"[0-9]{13}"),
    "i2of5": re.compile(r"[0-9]{14}"),
    "code39": re.compile(r"[0-9A-Z .$/+%-]+"),
    "codabar": re.compile(r"[A-Da-d]?[0-9$:/.+-]+[A-Da-d]?"),
    "code128": re.compile(r"[\x20-\x7e]+"),
}


def can_show(format_: str, message: str) -> bool:
    """Whether Google can draw a message in a format ("ean13")."""
    pattern = _CAN_HOLD.get(format_)
    return bool(message) and (pattern is None or pattern.fullmatch(message) is not None)


def chosen(shown: Shown) -> Barcode | None:
    """The first barcode of the template that Google can draw: it shows one."""
    barcodes = shown.template.definition.barcodes
    return next((each for each in barcodes if can_show(each.format, shown.text(each.message))), None)


def barcode(shown: Shown) -> Json:
    """The barcode's node; empty where the template has none that can be drawn."""
    each = chosen(shown)
    if each is None:
        return {}
    message = shown.text(each.message)
    return given(
        type=TYPES[each.format],
        value=message,
        alternateText=shown.text(each.alt_text),
        renderEncoding="" if message.isascii() else "UTF_8",
    )


def rotating_barcode(shown: Shown, totp_key: bytes | None) -> Json:
    """The barcode that changes by itself; empty where the template has none, or no key is given."""
    rotating = shown.template.definition.google.rotating_barcode
    if rotating is None or totp_key is None:
        return {}
    return given(
        type=TYPES[rotating.format],
        valuePattern=shown.text(rotating.pattern),
        alternateText=shown.text(rotating.alt_text),
        totpDetails={
            "algorithm": "TOTP_SHA1",
            "periodMillis": str(rotating.period_seconds * 1000),
            "parameters": [{"key": totp_key.hex().upper(), "valueLength": rotating.digits}],
        },
    )
