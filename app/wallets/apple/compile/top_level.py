"""Everything in pass.json that is not a field or a barcode: colours, relevance, NFC, actions, links."""

from datetime import datetime
from typing import Any

from app.wallets.apple.compile.fields import tree_node
from app.wallets.apple.compile.nodes import OMIT, Dynamic, Shown, native, rendered, w3c
from app.wallets.templates import PassTemplate

_TRANSIT = {
    "air": "PKTransitTypeAir",
    "boat": "PKTransitTypeBoat",
    "bus": "PKTransitTypeBus",
    "generic": "PKTransitTypeGeneric",
    "train": "PKTransitTypeTrain",
}


def top_level_node(template: PassTemplate, language: str) -> dict[str, Any]:
    """The keys beside the style, those that the template gives."""
    node = {
        **_looks(template, language),
        **_relevance(template, language),
        **_behaviour(template, language),
        "voided": Dynamic(lambda shown: True if shown.content.voided else OMIT),
        "expirationDate": Dynamic(_expiration),
    }
    return {key: value for key, value in node.items() if value not in ("", None, [], {})}


def transit_type(template: PassTemplate) -> dict[str, str]:
    """transitType, which belongs inside the style's object."""
    return {"transitType": _TRANSIT[template.definition.transit]} if template.definition.transit else {}


def _expiration(shown: Shown) -> Any:
    expires_at = shown.content.expires_at
    return w3c(expires_at.astimezone(shown.formats.time_zone)) if expires_at else OMIT


def _looks(template: PassTemplate, language: str) -> dict[str, Any]:
    definition = template.definition
    colors = definition.colors
    return {
        "organizationName": _never_empty(template, language, definition.organization),
        "description": _never_empty(template, language, definition.description),
        "logoText": rendered(template.text(definition.logo_text, language)),
        "logoSymbolName": definition.logo_symbol,
        "backgroundColor": _rgb(colors.background),
        "foregroundColor": _rgb(colors.foreground),
        "labelColor": _rgb(colors.label),
        "stripColor": _rgb(colors.strip),
        "suppressStripShine": definition.suppress_strip_shine or None,
        "preferredStyleSchemes": list(definition.preferred_style_schemes),
    }


def _never_empty(template: PassTemplate, language: str, source: str) -> Any:
    """A text that Wallet insists on: the template's name stands in where a member's values leave it empty."""
    node = rendered(template.text(source, language))
    if not isinstance(node, Dynamic):
        return node

    def fill(shown: Shown) -> Any:
        return node.fill(shown).strip() or template.name

    return Dynamic(fill)


def _relevance(template: PassTemplate, language: str) -> dict[str, Any]:
    definition = template.definition
    return {
        "locations": [
            _given(
                latitude=each.latitude,
                longitude=each.longitude,
                altitude=each.altitude,
                relevantText=rendered(template.text(each.text, language)),
            )
            for each in definition.locations
        ],
        "beacons": [
            _given(
                proximityUUID=each.uuid,
                major=each.major,
                minor=each.minor,
                relevantText=rendered(template.text(each.text, language)),
            )
            for each in definition.beacons
        ],
        "maxDistance": definition.max_distance,
        "relevantDate": _moment(template, language, definition.relevant_date),
        "relevantDates": [
            _given(
                date=_moment(template, language, each.date),
                startDate=_moment(template, language, each.start),
                endDate=_moment(template, language, each.end),
            )
            for each in definition.relevant_dates
        ],
    }


def _behaviour(template: PassTemplate, language: str) -> dict[str, Any]:
    definition = template.definition
    return {
        "sharingProhibited": None if definition.sharing else True,
        "groupingIdentifier": rendered(template.text(definition.grouping, language)),
        "nfc": _nfc(template, language),
        "semantics": tree_node(template, language, definition.semantics),
        "featuredActions": [
            _given(
                identifier=each.identifier,
                type=each.type,
                url=rendered(template.text(each.url, language)),
                placeIdentifier=each.place,
            )
            for each in definition.featured_actions
        ],
        **{key: rendered(template.text(url, language)) for key, url in definition.links.items()},
        **_app(template, language),
    }


def _nfc(template: PassTemplate, language: str) -> dict[str, Any]:
    nfc = template.definition.nfc
    if nfc is None:
        return {}
    return _given(
        message=rendered(template.text(nfc.message, language)),
        encryptionPublicKey=nfc.encryption_public_key,
        requiresAuthentication=nfc.requires_authentication or None,
    )


def _app(template: PassTemplate, language: str) -> dict[str, Any]:
    app = template.definition.app
    if app is None:
        return {}
    return {
        "associatedStoreIdentifiers": list(app.store_identifiers),
        "appLaunchURL": rendered(template.text(app.launch_url, language)),
        "userInfo": tree_node(template, language, app.user_info),
    }


def _moment(template: PassTemplate, language: str, moment: datetime | str | None) -> Any:
    """A fixed moment, or an expression that gives one; where it gives nothing the key is left out."""
    if not isinstance(moment, str):
        return moment
    node = native(template.text(moment, language))
    if not isinstance(node, Dynamic):
        return node

    def fill(shown: Shown) -> Any:
        return node.fill(shown) or OMIT

    return Dynamic(fill)


def _given(**keys: Any) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None and value != ""}


def _rgb(color: str | None) -> str | None:
    """#4b2e20 as Wallet writes it: rgb(75, 46, 32)."""
    if color is None:
        return None
    red, green, blue = bytes.fromhex(color[1:])
    return f"rgb({red}, {green}, {blue})"
