"""A simulated phone as the desk shows it: its Messages; of an iPhone, its Wallet and lock screen too."""

import re
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from app.clock import Clock
from app.simulators.iphone import InstalledPass, IPhone
from app.simulators.iphone.showing import strings_of
from app.simulators.sms_gateway import PhoneSms
from app.web.pass_page import barcode_svg

_LINK = re.compile(r"https?://\S+")
_IMAGE = re.compile(r"(?:(?P<language>[a-z-]+)\.lproj/)?(?P<slot>\w+)(?:@[23]x)?\.png")


@dataclass(frozen=True)
class Text:
    """A bubble in Messages. `link` stands in `text` and may be tapped."""

    id: str
    sender: str  # a name or number; "" for one forwarded from the other phone
    text: str
    link: str | None
    at: str  # ISO 8601


class Inbox:
    """The Messages of one phone of the desk, and the numbers that reach it."""

    def __init__(self, name: str, *, clock: Clock) -> None:
        self.name = name
        self.numbers: list[str] = []
        self.texts: list[Text] = []
        self._clock = clock

    def receive(self, sms: PhoneSms) -> None:
        """An SMS arrives."""
        self._add(sms.sender, sms.text)

    def receive_forwarded(self, text: str) -> None:
        """Another phone passes a message on."""
        self._add("", text)

    def text(self, text_id: str) -> Text | None:
        """The message of this id, None if there is none."""
        return next((each for each in self.texts if each.id == text_id), None)

    def _add(self, sender: str, text: str) -> None:
        link = _LINK.search(text)
        at = self._clock().isoformat()
        self.texts.append(Text(uuid4().hex, sender, text, link[0] if link else None, at))


class DemoPhone(Inbox):
    """One iPhone of the desk."""

    def __init__(self, name: str, iphone: IPhone, *, clock: Clock) -> None:
        super().__init__(name, clock=clock)
        self.iphone = iphone

    def speak(self, language: str) -> None:
        """Show everything in this language."""
        self.iphone.locale = language

    def fingerprint(self) -> tuple[object, ...]:
        """Differs whenever the phone shows something else."""
        iphone = self.iphone
        fetched = tuple((serial, each.fetches) for serial, each in iphone.passes.items())
        return fetched, len(iphone.notifications), len(iphone.log), len(self.texts)

    def state(self) -> dict[str, Any]:
        """Everything the phone shows, as JSON: newest texts and notifications last."""
        iphone = self.iphone
        return {
            "name": self.name,
            "numbers": self.numbers,
            "texts": [asdict(each) for each in self.texts],
            "passes": [self._pass(serial, each) for serial, each in iphone.passes.items()],
            "notifications": [
                {"serial": each.serial_number, "title": each.title, "text": each.text}
                for each in iphone.notifications
            ],
            "updatesAutomatically": iphone.updates_automatically,
            "complaints": iphone.log,
        }

    def image(self, serial_number: str, slot: str) -> bytes | None:
        """A picture of an installed pass, the sharpest there is in the phone's language."""
        installed = self.iphone.passes.get(serial_number)
        return None if installed is None else _images(installed, self.iphone.locale).get(slot)

    def _pass(self, serial: str, installed: InstalledPass) -> dict[str, Any]:
        """What `<pass-preview>` draws, from the archive on the phone; the pass's secrets stay there."""
        pass_json = dict(installed.opened.pass_json)
        for secret in ("authenticationToken", "webServiceURL"):
            pass_json.pop(secret, None)
        barcodes: list[dict[str, str]] = pass_json.get("barcodes", [])
        address = f"/demo/phones/{self.name}/passes/{serial}/images"
        images = _images(installed, self.iphone.locale)
        return {
            "platform": "apple",
            "serial": serial,
            "fetches": installed.fetches,
            "isGrey": self.iphone.is_grey(serial),
            "pass": pass_json,
            "strings": strings_of(installed.opened, self.iphone.locale),
            "images": {slot: f"{address}/{slot}?v={installed.fetches}" for slot in images},
            "barcode": barcode_svg(barcodes[0]["format"], barcodes[0]["message"]) if barcodes else "",
        }


def _images(installed: InstalledPass, locale: str) -> dict[str, bytes]:
    """By slot ("logo"), the sharpest picture; one in the phone's language wins."""
    found: dict[str, tuple[bool, int, bytes]] = {}
    for path, data in installed.opened.files.items():
        match = _IMAGE.fullmatch(path)
        if match is None or match["language"] not in (None, locale):
            continue
        candidate = (match["language"] == locale, len(data), data)
        if match["slot"] not in found or candidate[:2] > found[match["slot"]][:2]:
            found[match["slot"]] = candidate
    return {slot: data for slot, (_, _, data) in found.items()}
