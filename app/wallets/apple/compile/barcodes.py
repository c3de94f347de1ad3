"""The eight barcode formats: which phones show each, what each can hold, and the fallback of the new four."""

import re
from collections.abc import Callable
from typing import Any

from app.wallets.apple.compile.nodes import OMIT, Shown
from app.wallets.content import Loss
from app.wallets.templates import PassTemplate
from app.wallets.templates.definition import Barcode

FORMATS = {
    "qr": "PKBarcodeFormatQR",
    "pdf417": "PKBarcodeFormatPDF417",
    "aztec": "PKBarcodeFormatAztec",
    "code128": "PKBarcodeFormatCode128",
    "ean13": "PKBarcodeFormatEAN13",
    "code39": "PKBarcodeFormatCode39",
    "codabar": "PKBarcodeFormatCodabar",
    "i2of5": "PKBarcodeFormatI2of5",
}
SINCE_IOS_27 = frozenset(FORMATS[name] for name in ("ean13", "code39", "codabar", "i2of5"))


def _is_ean13(message: str) -> bool:
    """Thirteen digits of which the last is the check digit, weights 1 and 3."""
    if not re.fullmatch(r"[0-9]{13}", message):
        return False
    return sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(message)) % 10 == 0


_CAN_HOLD: dict[str, tuple[Callable[[str], bool], str]] = {
    "ean13": (_is_ean13, "thirteen digits with a right check digit"),
    "code39": (lambda text: bool(re.fullmatch(r"[0-9A-Z .$/+%-]+", text)), "capital letters and digits"),
    "codabar": (lambda text: bool(re.fullmatch(r"[A-Da-d]?[0-9$:/.+-]+[A-Da-d]?", text)), "digits"),
    "i2of5": (lambda text: bool(re.fullmatch(r"([0-9]{2})+", text)), "an even number of digits"),
    "code128": (lambda text: text.isascii() and text.isprintable(), "ASCII characters"),
}


def can_hold(name: str, message: str) -> bool:
    """Whether a format ("ean13") can encode a message."""
    check = _CAN_HOLD.get(name)
    return bool(message) and (check is None or check[0](message))


def with_fallback(barcodes: tuple[Barcode, ...]) -> tuple[Barcode, ...]:
    """The barcodes, and a QR code after them if the last ones are only shown by iOS 27.

    Wallet takes the first it can display: without an old format behind it, a new one leaves older
    phones with no code at all.
    """
    last = barcodes[-1] if barcodes else None
    if last is None or FORMATS[last.format] not in SINCE_IOS_27:
        return barcodes
    return (*barcodes, last.model_copy(update={"format": "qr"}))


class BarcodesNode:
    """The barcodes of a template, filled in per pass."""

    def __init__(self, template: PassTemplate, language: str) -> None:
        self._barcodes = [
            (each.format, template.text(each.message, language), template.text(each.alt_text, language))
            for each in with_fallback(template.definition.barcodes)
        ]

    def fill(self, shown: Shown) -> Any:
        """Those whose format can hold the message, best first; OMIT where there is none."""
        barcodes: list[dict[str, Any]] = []
        for name, text, alternative in self._barcodes:
            message = text.render(shown.values, shown.formats)
            if not can_hold(name, message):
                continue
            barcode = {"format": FORMATS[name], "message": message, "messageEncoding": _encoding(message)}
            if words := alternative.render(shown.values, shown.formats):
                barcode["altText"] = words
            barcodes.append(barcode)
        return barcodes or OMIT

    def losses(self, shown: Shown) -> list[Loss]:
        """The barcodes this content cannot have."""
        return [
            Loss("apple", f"barcodes.{index}", _unfit(name, message))
            for index, (name, text, _) in enumerate(self._barcodes)
            if not can_hold(name, message := text.render(shown.values, shown.formats))
        ]


def _unfit(name: str, message: str) -> str:
    if not message:
        return "the message is empty: no barcode is shown"
    return f"{name} holds only {_CAN_HOLD[name][1]}, not {message!r}: the next format is shown"


def _encoding(message: str) -> str:
    """Scanners expect Latin-1 unless told otherwise; only what does not fit it goes out as UTF-8."""
    if message.isascii():
        return "iso-8859-1"
    try:
        message.encode("iso-8859-1")
    except UnicodeEncodeError:
        return "utf-8"
    return "iso-8859-1"
