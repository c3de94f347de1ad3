"""A simulated Android phone as the desk shows it: its Messages, its Google Wallet and its lock screen."""

from dataclasses import asdict
from typing import Any

from app.clock import Clock
from app.demo.phones import Inbox
from app.simulators.android import AndroidPhone
from app.simulators.google_wallet import Card
from app.web.pass_page import barcode_svg

# Google's names of what our barcodes are drawn by.
_FORMATS = {
    "QR_CODE": "PKBarcodeFormatQR",
    "PDF_417": "PKBarcodeFormatPDF417",
    "AZTEC": "PKBarcodeFormatAztec",
    "CODE_128": "PKBarcodeFormatCode128",
}
_PICTURES = ("programLogo", "wideProgramLogo", "titleImage", "logo", "heroImage")


class DemoAndroid(Inbox):
    """The Android phone of the desk, with the numbers that reach it."""

    def __init__(self, name: str, android: AndroidPhone, *, clock: Clock) -> None:
        super().__init__(name, clock=clock)
        self.android = android

    def speak(self, language: str) -> None:
        """Show everything in this language."""
        self.android.locale = language

    def state(self) -> dict[str, Any]:
        """Everything the phone shows, as JSON: newest texts and notifications last."""
        return {
            "name": self.name,
            "numbers": self.numbers,
            "texts": [asdict(each) for each in self.texts],
            "passes": [self._card(each) for each in self.android.cards],
            "notifications": [
                {"serial": each.object_id, "title": each.title, "text": each.text}
                for each in self.android.notifications
            ],
            "updatesAutomatically": True,
            "complaints": [],
        }

    def _card(self, card: Card) -> dict[str, Any]:
        """What `<pass-preview>` draws: class and object, as Google has them."""
        barcode = card.of_object.get("barcode", {})
        kind = _FORMATS.get(barcode.get("type", ""))
        pictures = {
            slot: body[slot]["sourceUri"]["uri"]
            for body in (card.of_class, card.of_object)
            for slot in _PICTURES
            if slot in body
        }
        return {
            "platform": "google",
            "serial": card.of_object["id"],
            "isGrey": card.of_object.get("state") != "ACTIVE",
            "kind": card.kind,
            "ofClass": card.of_class,
            "ofObject": card.of_object,
            "messages": self.android.messages(card),
            "images": pictures,
            "barcode": barcode_svg(kind, barcode["value"]) if kind else "",
        }
