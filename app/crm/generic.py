"""Any system that can send an HTTP request: what its fields mean is written as data, not as code.

    {"proof": "standard-webhooks",
     "rules": [{"when": {"type": "order.paid"}, "event": "purchase", "reference": "order:{order.id}",
                "phone": "{order.phone}", "amount": "{order.total}", "reason": "Order {order.number}"}]}

A rule applies where every path in `when` holds that value ("*": anything at all), and makes an event; with
`each`, the path of a list ("$": the body is one), it looks at each item. In texts, {paths} stand for what is
found there, first in the item, then in the whole body.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app import standard_webhooks
from app.crm import BadSourceSettings, Delivery, Unreadable
from app.crm.events import (
    CardWanted,
    ContactChanged,
    Event,
    Person,
    PointsMoved,
    PurchaseChanged,
    PurchaseReturned,
)
from app.crm.form_body import items_at, read_body, read_time, text_at
from app.crm.signatures import is_among

EVENTS_MAX = 100  # of one delivery
ANYTHING = "*"
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_ENCODERS: dict[str, Callable[[bytes], str]] = {
    "hmac-sha256-hex": lambda digest: digest.hex(),
    "hmac-sha256-base64": lambda digest: b64encode(digest).decode(),
}
_NEEDED = {
    "points": ("reference", "points"),
    "purchase": ("reference", "amount"),
    "return": ("reference", "refund", "amount"),
    "contact": (),
    "card": (),
}

Proof = Literal["standard-webhooks", "hmac-sha256-hex", "hmac-sha256-base64", "header", "address"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """When a body means what. Every text may hold {paths}."""

    when: dict[str, str] = Field(default_factory=dict)
    each: str | None = None
    event: Literal["points", "purchase", "return", "contact", "card"]
    reference: str = ""
    refund: str = ""
    contact: str = ""
    phone: str = ""
    card_number: str = ""
    family: str = ""
    name: str = ""
    email: str = ""
    birthday: str = ""
    language: str = ""
    answers: dict[str, str] = Field(default_factory=dict)
    points: str = ""
    spent: bool = False
    amount: str = ""
    currency: str = ""
    reason: str = ""
    as_of: str = ""
    opening_points: str = ""
    sends_link: bool = True

    @model_validator(mode="after")
    def _is_whole(self) -> "Rule":
        for name in _NEEDED[self.event]:
            if not getattr(self, name):
                raise ValueError(f"a rule for {self.event} needs {name}")
        if self.event != "return" and not (self.contact or self.phone or self.card_number):
            raise ValueError("a rule needs contact, phone or card_number")
        return self


class GenericSettings(_Strict):
    proof: Proof = "standard-webhooks"
    signature_header: str = Field("x-signature", pattern=r"^[a-z0-9-]{1,64}$")
    event_id: str = ""  # where the body holds it; Standard Webhooks have theirs in a header
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=50)


def check_settings(settings: Mapping[str, Any]) -> None:
    _read(settings)


def has_secret_address(settings: Mapping[str, Any]) -> bool:
    return settings.get("proof") == "address"


def is_authentic(delivery: Delivery, secrets: Sequence[str], settings: Mapping[str, Any]) -> bool:
    proof = settings.get("proof", "standard-webhooks")
    if proof == "standard-webhooks":
        return standard_webhooks.is_signed(delivery.headers, delivery.body, secrets, now=delivery.received_at)
    if proof == "address":
        return is_among(delivery.token, secrets)
    given = delivery.headers.get(settings.get("signature_header", "x-signature"), "")
    if proof == "header":
        return is_among(given.removeprefix("Bearer "), secrets)
    given = given.removeprefix("sha256=")
    encode = _ENCODERS[proof]
    return is_among(given, [encode(hmac.digest(each.encode(), delivery.body, sha256)) for each in secrets])


def event_id(delivery: Delivery, settings: Mapping[str, Any]) -> str | None:
    if settings.get("proof", "standard-webhooks") == "standard-webhooks":
        return delivery.headers.get(standard_webhooks.ID)
    template = settings.get("event_id", "")
    if not template:
        return None
    try:
        return _text(template, read_body(delivery))
    except Unreadable:
        return None


def parse(delivery: Delivery, settings: Mapping[str, Any]) -> Sequence[Event]:
    """Raises Unreadable."""
    body = read_body(delivery)
    events = [
        _event(rule, scope)
        for rule in _read(settings).rules
        for scope in _scopes(rule, body)
        if all(_holds(scope, path, wanted) for path, wanted in rule.when.items())
    ]
    if len(events) > EVENTS_MAX:
        raise Unreadable(f"{len(events)} events in one delivery; at most {EVENTS_MAX} are read")
    return events


def _read(settings: Mapping[str, Any]) -> GenericSettings:
    return _validated(orjson.dumps(settings))


@lru_cache(maxsize=256)
def _validated(settings: bytes) -> GenericSettings:
    """The same for every delivery of a source: validating a mapping costs more than applying it."""
    try:
        return GenericSettings.model_validate_json(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise BadSourceSettings(f"{where}: {first['msg']}") from error


def _holds(scope: object, path: str, wanted: str) -> bool:
    found = text_at(scope, path)
    return found is not None if wanted == ANYTHING else found == wanted


def _scopes(rule: Rule, body: object) -> Iterator[object]:
    """What a rule's paths are looked for in: the body, or each item of a list laid over it."""
    if rule.each is None:
        yield body
        return
    items = items_at(body, rule.each)
    around = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    for item in items:
        if isinstance(item, Mapping):
            yield {**around, **cast("Mapping[str, object]", item)}


def _event(rule: Rule, scope: object) -> Event:
    person = Person(
        contact=_text(rule.contact, scope),
        phone=_text(rule.phone, scope),
        card_number=_text(rule.card_number, scope),
        family=_text(rule.family, scope),
        name=_text(rule.name, scope),
        email=_text(rule.email, scope),
        birthday=_text(rule.birthday, scope),
        language=_text(rule.language, scope),
        answers={key: text for key, path in rule.answers.items() if (text := _text(path, scope)) is not None},
    )
    reason = _text(rule.reason, scope) or ""
    if rule.event == "points":
        reference = _needed("reference", rule.reference, scope)
        return PointsMoved(reference, person, _needed("points", rule.points, scope), reason, spent=rule.spent)
    if rule.event == "purchase":
        return PurchaseChanged(
            _needed("reference", rule.reference, scope),
            person,
            _needed("amount", rule.amount, scope),
            currency=_text(rule.currency, scope),
            reason=reason,
            as_of=read_time(_text(rule.as_of, scope)),
        )
    if rule.event == "return":
        return PurchaseReturned(
            _needed("reference", rule.reference, scope),
            _needed("refund", rule.refund, scope),
            _needed("amount", rule.amount, scope),
            currency=_text(rule.currency, scope),
        )
    if rule.event == "card":
        return CardWanted(person, _text(rule.opening_points, scope) or "0", rule.sends_link)
    return ContactChanged(person)


def _needed(field: str, template: str, scope: object) -> str:
    """A text whose every path leads somewhere. Raises Unreadable."""
    for path in _PLACEHOLDER.findall(template):
        if text_at(scope, path) is None:
            raise Unreadable(f"{field}: nothing stands at {path}")
    return _text(template, scope) or ""


def _text(template: str, scope: object) -> str | None:
    """The template with its paths filled in; None where that leaves nothing, or only its own words."""
    found = {path: text_at(scope, path) for path in _PLACEHOLDER.findall(template)}
    if found and all(each is None for each in found.values()):
        return None
    return _PLACEHOLDER.sub(lambda place: found[place[1]] or "", template).strip() or None
