"""The designs a phone draws from semantics (iOS 18, 26): what they need, else it draws the plain style."""

from collections.abc import Iterator
from typing import cast

from app.wallets.lint.problem import Json, Problem, error, items, warning

# What Apple's validator asks for (apple/pass-builder, EventTicketValidator and BoardingPassValidator).
_SEMANTICS = {
    "posterEventTicket": ("eventName", "venueName"),
    "semanticBoardingPass": (
        "airlineCode",
        "flightNumber",
        "originalDepartureDate",
        "originalBoardingDate",
        "originalArrivalDate",
        "departureAirportCode",
        "departureAirportTimeZone",
        "destinationAirportCode",
        "passengerName",
    ),
}
_STYLE = {"posterEventTicket": "eventTicket", "semanticBoardingPass": "boardingPass"}


def check_schemes(pass_json: Json) -> Iterator[Problem]:
    """What keeps a phone from drawing the design that the pass prefers."""
    for scheme in items(pass_json, "preferredStyleSchemes"):
        if str(scheme) in _SEMANTICS:
            yield from _check_scheme(str(scheme), pass_json)


def _check_scheme(scheme: str, pass_json: Json) -> Iterator[Problem]:
    style = _STYLE[scheme]
    if style not in pass_json:
        yield error("scheme-wrong-style", "preferredStyleSchemes", f"{scheme} is a design of {style} only")
        return
    semantics = pass_json.get("semantics")
    given = cast("Json", semantics) if isinstance(semantics, dict) else {}
    missing = [key for key in _SEMANTICS[scheme] if given.get(key) in (None, "")]
    if missing:
        text = f"{scheme} needs {', '.join(missing)}: without them the phone draws the plain {style}"
        yield warning("scheme-incomplete", "semantics", text)
    if "nfc" not in pass_json and scheme == "posterEventTicket":
        text = "a poster event ticket needs NFC: phones before iOS 27 draw the plain ticket"
        yield warning("scheme-incomplete", "nfc", text)
    if pass_json.get("featuredActions"):
        text = f"are not shown on a {scheme}: remove them or the scheme"
        yield warning("actions-wrong-style", "featuredActions", text)
