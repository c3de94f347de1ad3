"""From a template and a content to the class and the object that Google Wallet keeps.

A class is what all passes of a kind share, an object is one pass. Both are plain JSON; sending them is the
jobs' business, and `schema.py` checks them against the fields Google knows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.wallets.content import PassContent
from app.wallets.google.compile import cards, journeys
from app.wallets.google.compile.barcodes import barcode, rotating_barcode
from app.wallets.google.compile.behaviour import class_behaviour, object_behaviour
from app.wallets.google.compile.fields import Layout, layout_of
from app.wallets.google.compile.kinds import class_schema, kind_of, object_schema
from app.wallets.google.compile.modules import class_modules, object_modules
from app.wallets.google.compile.overrides import overridden
from app.wallets.google.compile.rows import template_info
from app.wallets.google.compile.shown import Json, Shown, given
from app.wallets.google.images import pictures_of, stamps_of
from app.wallets.templates import PassTemplate
from app.wallets.templates.google import GoogleKind

__all__ = ["Ids", "compile_class", "compile_object", "kind_of"]


@dataclass(frozen=True)
class Ids:
    """Which object this is to Google, of which class; the secret of its rotating barcode, if it has one."""

    object_id: str
    class_id: str
    linked_ids: Sequence[str] = ()
    totp_key: bytes | None = None


_CLASS_OF_KIND: dict[GoogleKind, Callable[[Shown], Json]] = {
    "loyalty": cards.loyalty_class,
    "offer": cards.offer_class,
    "giftCard": cards.gift_card_class,
    "eventTicket": journeys.event_class,
    "flight": journeys.flight_class,
    "transit": journeys.transit_class,
}
_OBJECT_OF_KIND: dict[GoogleKind, Callable[[Shown], Json]] = {
    "loyalty": cards.loyalty_object,
    "giftCard": cards.gift_card_object,
    "eventTicket": journeys.event_object,
    "flight": journeys.flight_object,
    "transit": journeys.transit_object,
    "generic": cards.generic_object,
}


def compile_class(
    template: PassTemplate,
    content: PassContent,
    *,
    class_id: str,
    callback_url: str,
    image_url: Callable[[bytes], str],
) -> Json:
    """The class of these passes. `content` holds what they share: the programme's name, its language."""
    shown, layout = Shown(template, content, image_url), layout_of(template)
    body = {
        "id": class_id,
        **(_class_looks(shown) | _CLASS_OF_KIND[layout.kind](shown) if layout.kind != "generic" else {}),
        **given(classTemplateInfo=template_info(layout, template.definition.google)),
        **class_modules(shown, layout),
        **class_behaviour(shown, callback_url),
    }
    return overridden(shown, body, "class", class_schema(layout.kind))


def compile_object(
    template: PassTemplate, content: PassContent, ids: Ids, *, image_url: Callable[[bytes], str]
) -> Json:
    """The object of one pass, as its member sees it now."""
    shown, layout = Shown(template, content, image_url), layout_of(template)
    body = {
        "id": ids.object_id,
        "classId": ids.class_id,
        **(_OBJECT_OF_KIND[layout.kind](shown) if layout.kind != "offer" else {}),
        **given(
            heroImage=_hero_of_object(shown, layout),
            barcode=barcode(shown),
            rotatingBarcode=rotating_barcode(shown, ids.totp_key),
        ),
        **object_modules(shown, layout),
        **object_behaviour(shown, ids.linked_ids),
    }
    return overridden(shown, body, "object", object_schema(layout.kind))


def _class_looks(shown: Shown) -> Json:
    """What the classes of all kinds have but the generic one, whose looks are on the object."""
    definition, hero = shown.template.definition, pictures_of(shown.template).hero
    return {
        **shown.named("issuerName", cards.issuer_name(shown)),
        "reviewStatus": "UNDER_REVIEW",  # demanded on every write, though the class was approved long ago
        "countryCode": shown.content.country,
        "hexBackgroundColor": definition.colors.background,
        **given(
            heroImage=shown.image(hero, "") if hero else {},
            homepageUri=given(uri=shown.text(definition.google.homepage)),
        ),
    }


def _hero_of_object(shown: Shown, layout: Layout) -> Json:
    """The picture that is this pass's own: its stamps; and a generic pass has none on the class."""
    stamps = shown.template.definition.stamps
    drawn = stamps_of(shown.template, shown.text(stamps.count)) if stamps else None
    hero = drawn or (pictures_of(shown.template).hero if layout.kind == "generic" else None)
    return shown.image(hero, "") if hero else {}
