"""Required keys, identity, styles, colours, actions and links."""

import re
from collections.abc import Iterator
from typing import cast

from app.wallets.lint.problem import Json, Problem, check_date, error, is_number, items, warning

STYLES = ("boardingPass", "coupon", "eventTicket", "generic", "posterGeneric", "storeCard")
TOKEN_LENGTH_MIN = 16
ACTIONS_MAX = 2
ACTION_TYPES = (
    "addToBalance",
    "bookAppointment",
    "bookCar",
    "bookFlight",
    "bookStay",
    "call",
    "listenToMusic",
    "membershipBenefits",
    "order",
    "place",
    "shop",
    "viewOffersRewards",
    "viewSchedule",
    "watchTrailer",
)

# By kind of value: every key that Apple documents at the top of pass.json.
_KEYS = {
    "text": """passTypeIdentifier teamIdentifier serialNumber organizationName description webServiceURL
        authenticationToken expirationDate relevantDate logoText logoSymbolName eventLogoText
        groupingIdentifier backgroundColor foregroundColor labelColor stripColor footerBackgroundColor
        accessibilityURL addOnURL appLaunchURL bagPolicyURL changeSeatURL contactVenueEmail
        contactVenuePhoneNumber contactVenueWebsite directionsInformationURL entertainmentURL managementURL
        merchandiseURL orderFoodURL parkingInformationURL purchaseAdditionalBaggageURL
        purchaseLoungeAccessURL purchaseParkingURL purchaseWifiURL registerServiceAnimalURL reportLostBagURL
        requestWheelchairURL sellURL transferURL transitInformationURL transitProviderEmail
        transitProviderPhoneNumber transitProviderWebsiteURL upgradeURL""",
    "true or false": """voided sharingProhibited suppressStripShine suppressHeaderDarkening
        useAutomaticColors""",
    "number": "formatVersion maxDistance",
    "list": """barcodes locations beacons relevantDates featuredActions associatedStoreIdentifiers
        auxiliaryStoreIdentifiers preferredStyleSchemes upcomingPassInformation""",
    "object": "barcode nfc semantics boardingPass coupon eventTicket generic posterGeneric storeCard",
    "anything": "userInfo",
}
_KIND_OF = {key: kind for kind, keys in _KEYS.items() for key in keys.split()}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "true or false": bool,
    "number": (int, float),
    "list": list,
    "object": dict,
    "anything": object,
}
_REQUIRED = (
    "formatVersion",
    "passTypeIdentifier",
    "teamIdentifier",
    "serialNumber",
    "organizationName",
    "description",
)
_COLOR = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)|#[0-9a-fA-F]{6}")


def check_top_level(pass_json: Json) -> Iterator[Problem]:
    """Every fault that is not in the fields, barcodes, relevance, NFC or files."""
    yield from _check_types(pass_json)
    yield from _check_required(pass_json)
    yield from _check_styles(pass_json)
    yield from _check_web_service(pass_json)
    yield from _check_colors(pass_json)
    yield from _check_app(pass_json)
    yield from _check_actions(pass_json)
    if "expirationDate" in pass_json:
        yield from check_date(pass_json["expirationDate"], "expirationDate")


def _check_types(pass_json: Json) -> Iterator[Problem]:
    for key, value in pass_json.items():
        kind = _KIND_OF.get(key)
        if kind is None:
            yield warning("unknown-key", key, "is not a key of pass.json: check its spelling")
        elif key == "maxDistance":
            continue  # has a name of its own among the faults of relevance
        elif not isinstance(value, _TYPES[kind]) or (kind == "number" and isinstance(value, bool)):
            yield error("wrong-type", key, f"must be {kind}, not {value!r}")


def _check_required(pass_json: Json) -> Iterator[Problem]:
    for key in _REQUIRED:
        if pass_json.get(key) in (None, ""):
            yield error("missing-key", key, "is required: without it Wallet refuses the pass")
    if pass_json.get("formatVersion", 1) != 1:
        yield error("format-version", "formatVersion", "must be 1")


def _check_styles(pass_json: Json) -> Iterator[Problem]:
    given = [style for style in STYLES if style in pass_json]
    is_poster = "posterGeneric" in given
    if not given:
        yield error("no-style", "pass.json", f"needs one of {', '.join(STYLES)}")
    elif is_poster and "generic" not in given:
        text = "needs a 'generic' beside it: phones before iOS 27 know no posterGeneric"
        yield error("poster-without-generic", "posterGeneric", text)
    if len(given) > (2 if is_poster else 1):
        yield error("several-styles", "pass.json", f"has {' and '.join(given)}: keep one style")
    if "groupingIdentifier" in pass_json and not {"eventTicket", "boardingPass"} & set(given):
        text = "groups only event tickets and boarding passes: remove it"
        yield error("grouping-wrong-style", "groupingIdentifier", text)


def _check_web_service(pass_json: Json) -> Iterator[Problem]:
    token, url = pass_json.get("authenticationToken"), pass_json.get("webServiceURL")
    if isinstance(token, str) and len(token) < TOKEN_LENGTH_MIN:
        text = f"has {len(token)} characters; at least {TOKEN_LENGTH_MIN} are needed"
        yield error("short-token", "authenticationToken", text)
    if token is not None and url is None:
        yield error("token-without-service", "authenticationToken", "needs a webServiceURL beside it")
    if url is not None and token is None:
        yield error("service-without-token", "webServiceURL", "needs an authenticationToken beside it")
    if isinstance(url, str) and not url.startswith("https://"):
        text = f"{url!r} is not https: phones ask it only with the developer switch on"
        yield warning("service-not-https", "webServiceURL", text)


def _check_colors(pass_json: Json) -> Iterator[Problem]:
    for key, value in pass_json.items():
        if not key.endswith("Color") or not isinstance(value, str):
            continue
        match = _COLOR.fullmatch(value)
        if match is None or any(part and int(part) > 255 for part in match.groups()):
            yield error("bad-color", key, f"{value!r} is not a colour: write rgb(75, 46, 32)")


def _check_app(pass_json: Json) -> Iterator[Problem]:
    identifiers = pass_json.get("associatedStoreIdentifiers")
    if "appLaunchURL" in pass_json and not identifiers:
        text = "needs associatedStoreIdentifiers: Wallet hands it to one of those apps"
        yield error("launch-url-without-app", "appLaunchURL", text)
    for key in ("associatedStoreIdentifiers", "auxiliaryStoreIdentifiers"):
        for index, each in enumerate(items(pass_json, key)):
            if not is_number(each):
                text = f"must be a JSON number, not {each!r}"
                yield error("number-as-text", f"{key}[{index}]", text)


def _check_actions(pass_json: Json) -> Iterator[Problem]:
    actions = items(pass_json, "featuredActions")
    if len(actions) > ACTIONS_MAX:
        text = f"has {len(actions)} actions; Wallet shows at most {ACTIONS_MAX}"
        yield error("too-many-actions", "featuredActions", text)
    seen: set[object] = set()
    for index, action in enumerate(actions):
        where = f"featuredActions[{index}]"
        if not isinstance(action, dict):
            yield error("wrong-type", where, "must be an object")
            continue
        yield from _check_action(cast("Json", action), where)
        identifier = str(cast("Json", action).get("identifier"))
        if identifier in seen:
            yield error("duplicate-action", where, f"identifier {identifier!r} is used twice")
        seen.add(identifier)


def _check_action(action: Json, where: str) -> Iterator[Problem]:
    kind = action.get("type")
    if not action.get("identifier"):
        yield error("action-incomplete", where, "needs an identifier")
    if kind not in ACTION_TYPES:
        yield error(
            "action-unknown-type",
            f"{where}.type",
            f"{kind!r} is not one of {', '.join(ACTION_TYPES)}",
        )
    elif kind == "place" and not action.get("placeIdentifier"):
        yield error("action-incomplete", where, "a 'place' needs a placeIdentifier (place in template.toml)")
    elif kind != "place" and not action.get("url"):
        yield error("action-incomplete", where, f"a {kind!r} needs a url")
