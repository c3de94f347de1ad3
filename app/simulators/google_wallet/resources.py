"""Classes and objects: what may be stored, how a PATCH differs from a PUT, and what is refused."""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

from app.simulators.google_wallet.answers import Body, Refused, bad_request, not_found
from app.wallets.google import schema

KINDS = ("loyalty", "offer", "giftCard", "eventTicket", "flight", "transit", "generic")

_ID = re.compile(r"([0-9]{1,20})\.([A-Za-z0-9._-]+)")
_TEXT_MODULE_ID = re.compile(r"[A-Za-z0-9_-]+")
_OF_OUTPUT = ("hasUsers", "kind", "version", "classReference")  # Google's own to write
_PAGE = 100

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "loyaltyClass": ("issuerName", "programName", "programLogo"),
    "offerClass": ("issuerName", "title", "redemptionChannel", "provider"),
    "giftCardClass": ("issuerName",),
    "eventTicketClass": ("issuerName", "eventName"),
    "flightClass": (
        "issuerName",
        "localScheduledDepartureDateTime",
        "flightHeader",
        "origin",
        "destination",
    ),
    "transitClass": ("issuerName", "logo", "transitType"),
    "genericClass": (),
    "loyaltyObject": ("classId", "state"),
    "offerObject": ("classId", "state"),
    "giftCardObject": ("classId", "state", "cardNumber"),
    "eventTicketObject": ("classId", "state"),
    "flightObject": ("classId", "state", "passengerName", "reservationInfo"),
    "transitObject": ("classId", "state", "tripType"),
    "genericObject": ("classId", "cardTitle", "header"),
}


def is_class(kind: str) -> bool:
    return kind.endswith("Class")


def class_kind(kind: str) -> str:
    return kind.removesuffix("Object") + "Class"


class Store:
    """All resources, by id. There is no way to delete one: Google has none."""

    def __init__(self) -> None:
        self._bodies: dict[str, Body] = {}
        self._kinds: dict[str, str] = {}
        self.writes = 0

    def get(self, kind: str, resource_id: str) -> Body:
        """A copy of a resource. Raises Refused."""
        if self._kinds.get(resource_id) != kind:
            raise not_found(kind, resource_id)
        return deepcopy(self._bodies[resource_id])

    def kind_of(self, resource_id: str) -> str | None:
        return self._kinds.get(resource_id)

    def put(self, kind: str, body: Body) -> None:
        self._bodies[body["id"]] = body
        self._kinds[body["id"]] = kind
        self.writes += 1

    def drop(self, resource_id: str) -> None:
        """Lose a resource, which Google never does by itself: for what happens then."""
        del self._bodies[resource_id], self._kinds[resource_id]

    def page(self, kind: str, query: Mapping[str, str]) -> Body:
        """One page of a list: of an issuer's classes, or of a class's objects."""
        wanted = query.get("issuerId", "") + "." if is_class(kind) else query.get("classId", "")
        found = [
            deepcopy(body)
            for resource_id, body in sorted(self._bodies.items())
            if self._kinds[resource_id] == kind
            and (resource_id.startswith(wanted) if is_class(kind) else body["classId"] == wanted)
        ]
        start = int(query.get("token") or 0)
        size = min(int(query.get("maxResults") or _PAGE), _PAGE)
        pagination: Body = {"resultsPerPage": size}
        if start + size < len(found):
            pagination["nextPageToken"] = str(start + size)
        return {"resources": found[start : start + size], "pagination": pagination}

    def objects_of(self, class_id: str) -> list[str]:
        return [each for each, body in self._bodies.items() if body.get("classId") == class_id]


def known_fields(kind: str, body: Body) -> Body:
    """The body without what Google drops in silence: unknown fields, and those it writes itself.

    Raises Refused for a value of a wrong type. A null stays: in a PATCH it removes the field.
    """
    name = kind[0].upper() + kind[1:]
    kept = {key: value for key, value in _known(name, body).items() if key not in _OF_OUTPUT}
    for fault in schema.faults(name, _without_nulls(kept)):
        raise bad_request(f"Invalid value at '{fault.where}': {fault.text}.")
    return kept


def _known(name: str, body: Body) -> Body:
    fields = schema.fields_of(name)
    return {
        key: _pruned(fields[key], value)
        for key, value in body.items()
        if not fields.get(key, "!").startswith("!")
    }


def _pruned(wanted: str, value: Any) -> Any:
    if wanted.startswith("[") and isinstance(value, list):
        return [_pruned(wanted[1:-1], each) for each in cast("list[Any]", value)]
    if schema.is_schema(wanted) and isinstance(value, dict):
        return _known(wanted, cast("Body", value))
    # A number is tolerated where the schema has int64 as text: Google's own samples send them.
    return str(value) if wanted == "int64" and isinstance(value, int) else value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in cast("Body", value).items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in cast("list[Any]", value)]
    return value


def check_id(resource_id: object, issuer_id: str) -> str:
    """A well formed id of our issuer. Raises Refused."""
    match = _ID.fullmatch(resource_id) if isinstance(resource_id, str) else None
    if match is None:
        raise bad_request(f"Invalid resource ID: {resource_id}", "invalidResource")
    if match[1] != issuer_id:
        raise Refused(403, "permissionDenied", f"Permission denied for issuer {match[1]}.")
    return match[0]


def check_whole(store: Store, kind: str, body: Body) -> None:
    """What a resource must have to be stored. Raises Refused."""
    for name in _REQUIRED[kind]:
        if body.get(name) in (None, "", {}):
            raise bad_request(f"{name} must be set.")
    if not is_class(kind) and store.kind_of(body["classId"]) != class_kind(kind):
        raise not_found(class_kind(kind), str(body["classId"]))
    for module in body.get("textModulesData", []):
        if "id" in module and not _TEXT_MODULE_ID.fullmatch(str(module["id"])):
            raise bad_request(f"Invalid text module id {module['id']}.")


def check_review(kind: str, body: Body, *, is_new: bool) -> None:
    """Every write of a class must ask for review again; generic classes have none. Raises Refused."""
    if not is_class(kind) or kind == "genericClass":
        return
    status = body.get("reviewStatus")
    if status is None:
        raise bad_request(
            "Review status must be set." if is_new else "Invalid review status Optional[APPROVED]."
        )
    if status not in ("UNDER_REVIEW", "DRAFT"):
        raise bad_request(f"Invalid review status Optional[{status}].")


def merged(before: Body, patch: Body) -> Body:
    """A PATCH: objects merge, lists are replaced, null removes, and an empty list changes nothing.

    That last is inferred from how others clear lists (by PUT); Google says nothing about it.
    """
    after = dict(before)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        elif isinstance(value, dict) and isinstance(before.get(key), dict):
            after[key] = merged(before[key], cast("Body", value))
        elif value != []:
            after[key] = value
    return after
