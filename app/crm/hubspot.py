"""HubSpot: contacts and deals. A delivery names what changed; a deal's worth is asked for.

Source: HubSpot, "Validating requests" and "Webhooks API". CRM events are documented as signed with version 1,
newer apps with version 3: whichever header is there must be right.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.crm import Ask, BadSourceSettings, Delivery, Unreadable
from app.crm.events import ContactChanged, DealTouched, Event, Person, PurchaseChanged
from app.crm.form_body import items_at, read_json, read_time, text_at
from app.crm.signatures import is_among

TOLERANCE_SECONDS = 300
EVENTS_MAX = 100  # of one delivery
_CONTACT_FIELDS = {"phone": "phone", "mobilephone": "phone", "email": "email"}
_DEAL = "/crm/v3/objects/deals/{}?associations=contacts&properties=" + ",".join(
    ("amount", "deal_currency_code", "dealname", "hs_is_closed_won", "hs_lastmodifieddate")
)
_CONTACT = "/crm/v3/objects/contacts/{}?properties=firstname,lastname,phone,mobilephone,email"


def check_settings(settings: Mapping[str, Any]) -> None:
    if not str(settings.get("api_url", "https://")).startswith(("https://", "http://")):
        raise BadSourceSettings("api_url: an address, such as https://api.hubapi.com")
    if unknown := settings.keys() - {"api_url"}:
        raise BadSourceSettings(f"unknown {', '.join(sorted(unknown))}: hubspot has only api_url")


def has_secret_address(settings: Mapping[str, Any]) -> bool:
    return False


def is_authentic(delivery: Delivery, secrets: Sequence[str], settings: Mapping[str, Any]) -> bool:
    headers, body = delivery.headers, delivery.body
    if (third := headers.get("x-hubspot-signature-v3")) is not None:
        timestamp = headers.get("x-hubspot-request-timestamp", "")
        if not _is_recent(timestamp, delivery):
            return False
        signed = f"POST{delivery.url}".encode() + body + timestamp.encode()
        right = [b64encode(hmac.digest(each.encode(), signed, "sha256")).decode() for each in secrets]
        return is_among(third, right)
    is_second = headers.get("x-hubspot-signature-version", "v1").lower() == "v2"
    signed = f"POST{delivery.url}".encode() + body if is_second else body
    right = [hashlib.sha256(each.encode() + signed).hexdigest() for each in secrets]
    return is_among(headers.get("x-hubspot-signature", ""), right)


def _is_recent(timestamp: str, delivery: Delivery) -> bool:
    """Whether milliseconds since 1970 are within five minutes of now."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 15):
        return False
    return abs(int(timestamp) / 1000 - delivery.received_at.timestamp()) <= TOLERANCE_SECONDS


def event_id(delivery: Delivery, settings: Mapping[str, Any]) -> str | None:
    return None  # each event in the list has one, the list has none


def parse(delivery: Delivery, settings: Mapping[str, Any]) -> Sequence[Event]:
    """A deal once, however many of its fields changed. Raises Unreadable."""
    listed: object = read_json(delivery.body)
    if not isinstance(listed, list):
        raise Unreadable("the body is no list of events")
    found: dict[tuple[str, str], Event] = {}
    for each in list(items_at(cast("list[object]", listed), "$"))[:EVENTS_MAX]:
        kind, what = (text_at(each, "subscriptionType") or "").partition(".")[::2]
        object_id = text_at(each, "objectId")
        if object_id is None:
            continue
        if kind == "deal":
            found["deal", object_id] = DealTouched(object_id)
        elif kind == "contact" and what == "propertyChange":
            field = _CONTACT_FIELDS.get(text_at(each, "propertyName") or "")
            value = text_at(each, "propertyValue")
            said = Person(
                contact=f"contact:{object_id}",
                phone=value if field == "phone" else None,
                email=value if field == "email" else None,
            )
            if field and value:
                found[f"contact.{field}", object_id] = ContactChanged(said)
    return list(found.values())


def api_url(settings: Mapping[str, Any]) -> str:
    return settings.get("api_url", "https://api.hubapi.com")


async def read_deal(ask: Ask, deal: str, settings: Mapping[str, Any]) -> PurchaseChanged | None:
    """A deal as it is: worth its amount while it is won. Raises Unreadable."""
    found = await ask(_DEAL.format(deal))
    if found is None:
        return None
    is_won = text_at(found, "properties.hs_is_closed_won") == "true"
    contact = text_at(found, "associations.contacts.results[0].id")
    return PurchaseChanged(
        f"deal:{deal}",
        await _person(ask, contact) if contact and is_won else Person(),
        (text_at(found, "properties.amount") or "0") if is_won else "0",
        currency=text_at(found, "properties.deal_currency_code"),
        reason=text_at(found, "properties.dealname") or f"Deal {deal}",
        as_of=read_time(text_at(found, "properties.hs_lastmodifieddate")),
    )


async def _person(ask: Ask, contact: str) -> Person:
    found = await ask(_CONTACT.format(contact))
    names = (text_at(found, "properties.firstname"), text_at(found, "properties.lastname"))
    return Person(
        contact=f"contact:{contact}",
        phone=text_at(found, "properties.phone") or text_at(found, "properties.mobilephone"),
        name=" ".join(name for name in names if name) or None,
        email=text_at(found, "properties.email"),
    )
