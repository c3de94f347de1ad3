"""When and where the pass comes up by itself: locations, beacons, dates; and its semantics."""

from collections.abc import Iterator
from typing import cast
from uuid import UUID

from app.wallets.lint.problem import (
    Json,
    Problem,
    check_date,
    check_numbers,
    error,
    is_number,
    objects,
    warning,
)

LOCATIONS_MAX = BEACONS_MAX = 10
_NEED_LOCATIONS = ("storeCard", "coupon", "generic", "posterGeneric")
_WITHOUT_RELEVANT_DATE = ("storeCard", "coupon")
_SEMANTIC_NUMBERS = ("duration", "flightNumber")


def check_relevance(pass_json: Json) -> Iterator[Problem]:
    """The faults that keep a pass from coming up on the lock screen."""
    yield from _check_locations(pass_json)
    yield from _check_beacons(pass_json)
    yield from _check_distance(pass_json)
    yield from _check_dates(pass_json)
    other = [key for key in ("beacons", "relevantDate", "relevantDates", "maxDistance") if pass_json.get(key)]
    style = next((style for style in _NEED_LOCATIONS if style in pass_json), None)
    if other and style and not pass_json.get("locations"):
        text = f"a {style} comes up by {other[0]} only if it has locations too"
        yield error("relevance-without-location", "locations", text)


def _check_locations(pass_json: Json) -> Iterator[Problem]:
    locations = list(objects(pass_json, "locations"))
    if len(locations) > LOCATIONS_MAX:
        text = f"has {len(locations)} places; Wallet takes at most {LOCATIONS_MAX}"
        yield error("too-many-locations", "locations", text)
    for where, location in locations:
        yield from check_numbers(location, ("latitude", "longitude", "altitude"), where)
        for key, limit in (("latitude", 90), ("longitude", 180)):
            value = location.get(key)
            if value is None or (is_number(value) and abs(value) > limit):
                yield error("bad-coordinate", f"{where}.{key}", f"must be between -{limit} and {limit}")


def _check_beacons(pass_json: Json) -> Iterator[Problem]:
    beacons = list(objects(pass_json, "beacons"))
    if len(beacons) > BEACONS_MAX:
        text = f"has {len(beacons)} beacons; Wallet takes at most {BEACONS_MAX}"
        yield error("too-many-beacons", "beacons", text)
    for where, beacon in beacons:
        yield from check_numbers(beacon, ("major", "minor"), where)
        try:
            UUID(str(beacon.get("proximityUUID")))
        except ValueError:
            yield error("bad-beacon", f"{where}.proximityUUID", "must be a UUID")


def _check_distance(pass_json: Json) -> Iterator[Problem]:
    if "maxDistance" not in pass_json:
        return
    distance = pass_json["maxDistance"]
    if not is_number(distance):
        text = f"must be a number of metres, not {distance!r}: Wallet drops a text and says nothing"
        yield error("distance-as-text", "maxDistance", text)
    elif distance <= 0:
        yield error("bad-distance", "maxDistance", "must be more than 0 metres")


def _check_dates(pass_json: Json) -> Iterator[Problem]:
    if "relevantDate" in pass_json:
        yield from check_date(pass_json["relevantDate"], "relevantDate")
        style = next((style for style in _WITHOUT_RELEVANT_DATE if style in pass_json), None)
        if style:
            yield warning("relevant-date-wrong-style", "relevantDate", f"has no effect on a {style}")
    for where, each in objects(pass_json, "relevantDates"):
        for key in ("date", "startDate", "endDate", "relevantDate"):
            if key in each:
                yield from check_date(each[key], f"{where}.{key}")
        if ("date" in each or "relevantDate" in each) == ("startDate" in each or "endDate" in each):
            yield error("relevant-dates-shape", where, "needs either a date, or a startDate and an endDate")


def check_semantics(pass_json: Json) -> Iterator[Problem]:
    """Dates and numbers of the machine-readable part, of the pass and of its fields."""
    semantics = pass_json.get("semantics")
    if isinstance(semantics, dict):
        yield from _check_semantics(cast("Json", semantics))


def _check_semantics(semantics: Json) -> Iterator[Problem]:
    yield from check_numbers(semantics, _SEMANTIC_NUMBERS, "semantics")
    for key, value in semantics.items():
        if key.endswith("Date"):
            yield from check_date(value, f"semantics.{key}")
    for key in ("balance", "totalPrice"):
        amount = semantics.get(key)
        if amount is None:
            continue
        if not isinstance(amount, dict) or {"amount", "currencyCode"} - set(cast("Json", amount)):
            yield error(
                "bad-amount", f"semantics.{key}", 'must be {"amount": "12.50", "currencyCode": "KZT"}'
            )
