"""Shopify: orders that were paid, cancelled or refunded, and customers.

Source: Shopify, "Verify webhook deliveries" and the topics' payloads. A refund comes as a topic of its own,
so an order's worth is its `total_price`, which refunds do not lower.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

from app.crm import BadSourceSettings, Delivery, Unreadable
from app.crm.events import ContactChanged, Event, Person, PurchaseChanged, PurchaseReturned
from app.crm.form_body import items_at, read_json, read_time, text_at
from app.crm.signatures import is_among

_PHONES = ("customer.phone", "phone", "billing_address.phone", "shipping_address.phone")


def check_settings(settings: Mapping[str, Any]) -> None:
    if settings:
        raise BadSourceSettings("shopify needs no settings: only the app's client secret")


def has_secret_address(settings: Mapping[str, Any]) -> bool:
    return False


def is_authentic(delivery: Delivery, secrets: Sequence[str], settings: Mapping[str, Any]) -> bool:
    right = [b64encode(hmac.digest(each.encode(), delivery.body, sha256)).decode() for each in secrets]
    return is_among(delivery.headers.get("x-shopify-hmac-sha256", ""), right)


def event_id(delivery: Delivery, settings: Mapping[str, Any]) -> str | None:
    """The event's id, the same for every subscription of a topic; retries keep the older Webhook-Id."""
    headers = delivery.headers
    known = headers.get("x-shopify-event-id") or headers.get("x-shopify-webhook-id")
    return f"{headers.get('x-shopify-topic', '')}:{known}" if known else None


def parse(delivery: Delivery, settings: Mapping[str, Any]) -> Sequence[Event]:
    """Raises Unreadable."""
    topic = delivery.headers.get("x-shopify-topic", "")
    read = _TOPICS.get(topic)
    return [] if read is None else [read(read_json(delivery.body))]


def _paid(order: object) -> Event:
    return _purchase(order, _needed(order, "total_price"))


def _cancelled(order: object) -> Event:
    return _purchase(order, "0")


def _purchase(order: object, amount: str) -> PurchaseChanged:
    return PurchaseChanged(
        f"order:{_needed(order, 'id')}",
        _person(order),
        amount,
        currency=text_at(order, "currency"),
        reason=f"Order {text_at(order, 'name') or text_at(order, 'order_number') or ''}".strip(),
        as_of=read_time(text_at(order, "updated_at")),
    )


def _refunded(refund: object) -> Event:
    """A refund is worth what was paid back: its successful transactions of that kind."""
    paid_back = [
        text_at(each, "amount") or "0"
        for each in items_at(refund, "transactions")
        if text_at(each, "kind") == "refund" and text_at(each, "status") == "success"
    ]
    try:
        amount = sum((Decimal(each) for each in paid_back), Decimal(0))
    except InvalidOperation as error:
        raise Unreadable("transactions.amount") from error
    return PurchaseReturned(
        f"order:{_needed(refund, 'order_id')}",
        f"refund:{_needed(refund, 'id')}",
        str(amount),
        currency=text_at(refund, "transactions[0].currency"),
    )


def _changed(customer: object) -> Event:
    return ContactChanged(_person({"customer": customer, "id": text_at(customer, "id")}))


def _person(order: object) -> Person:
    customer = text_at(order, "customer.id")
    names = (text_at(order, "customer.first_name"), text_at(order, "customer.last_name"))
    return Person(
        contact=f"customer:{customer}" if customer else None,
        phone=next((phone for path in _PHONES if (phone := text_at(order, path))), None),
        name=" ".join(name for name in names if name) or None,
        email=text_at(order, "customer.email") or text_at(order, "email"),
    )


def _needed(tree: object, path: str) -> str:
    found = text_at(tree, path)
    if found is None:
        raise Unreadable(f"nothing stands at {path}")
    return found


_TOPICS = {
    "orders/paid": _paid,
    "orders/cancelled": _cancelled,
    "refunds/create": _refunded,
    "customers/create": _changed,
    "customers/update": _changed,
}
