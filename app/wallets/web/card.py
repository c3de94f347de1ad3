"""The web card: the same content as a page, for phones without Apple's or Google's wallet."""

import io
from dataclasses import dataclass
from functools import lru_cache

from app.wallets.apple.compile.barcodes import FORMATS, can_hold
from app.wallets.content import PassContent, Value
from app.wallets.formats import Formats, formats_for
from app.wallets.google.images import pictures_of
from app.wallets.images import open_png, resized
from app.wallets.templates import PassField, PassTemplate
from app.wallets.templates.definition import Placement

ICON_SIZES = (192, 512)

_FRONT: tuple[Placement, ...] = ("header", "primary", "secondary", "auxiliary", "footer")


@dataclass(frozen=True)
class WebField:
    """A field with its words. `url` is where a tap on it leads; empty: nowhere."""

    key: str
    label: str
    value: str
    change_message: str
    url: str = ""


@dataclass(frozen=True)
class WebBarcode:
    """What the till scans, by Apple's name of the format, and the words below it."""

    format: str
    message: str
    words: str


@dataclass(frozen=True)
class WebCard:
    """A card ready to be put on a page; `language` is what it is written in."""

    name: str
    language: str
    front: dict[Placement, list[WebField]]
    details: list[WebField]
    barcode: WebBarcode | None

    def fields(self) -> list[WebField]:
        """Every field, front first."""
        return [*(field for fields in self.front.values() for field in fields), *self.details]


def web_card(template: PassTemplate, content: PassContent) -> WebCard:
    """What a member's card says now. Pure; never fails on the content's values."""
    return _Writer(template, content).card()


class _Writer:
    """One template with one content."""

    def __init__(self, template: PassTemplate, content: PassContent) -> None:
        self._template = template
        self._language = template.language_for(content.language)
        self._values: dict[str, Value] = {**content.values, "barcode": content.barcode}
        self._formats: Formats = formats_for(
            self._language, content.country, content.currency, content.time_zone
        )

    def card(self) -> WebCard:
        definition = self._template.definition
        fields = [(field.placement, self._field(field)) for field in definition.fields]
        shown = [(placement, field) for placement, field in fields if field.value]
        return WebCard(
            name=self._text(definition.logo_text) or self._text(definition.organization),
            language=self._language,
            front={each: [field for placement, field in shown if placement == each] for each in _FRONT},
            details=[field for placement, field in shown if placement not in _FRONT],
            barcode=self._barcode(),
        )

    def _field(self, field: PassField) -> WebField:
        return WebField(
            key=field.key,
            label=self._text(field.label),
            value=self._text(field.value),
            change_message=self._text(field.change_message),
            url=self._text(field.link.url) if field.link else "",
        )

    def _barcode(self) -> WebBarcode | None:
        for each in self._template.definition.barcodes:
            message = self._text(each.message)
            if can_hold(each.format, message):
                return WebBarcode(FORMATS[each.format], message, self._text(each.alt_text))
        return None

    def _text(self, source: str) -> str:
        return self._template.text(source, self._language).render(self._values, self._formats).strip()


def news(card: WebCard, before: dict[str, str]) -> str:
    """What changed since the card showed `before` (field -> value), in the words of the first field that did.

    Empty when no field with a change message has a new value.
    """
    for field in card.fields():
        if field.change_message and before.get(field.key, "") != field.value:
            return field.change_message.replace("%@", field.value)
    return ""


def shown_values(card: WebCard) -> dict[str, str]:
    """The values of the fields that tell of their changes, to be compared with the next ones."""
    return {field.key: field.value for field in card.fields() if field.change_message}


@lru_cache(maxsize=64)
def icon(template: PassTemplate, size: int) -> bytes:
    """The picture of the card on a phone's home screen: a square PNG of this side."""
    out = io.BytesIO()
    resized(open_png(pictures_of(template).logo).convert("RGB"), (size, size)).save(out, "PNG", optimize=True)
    return out.getvalue()
