"""Deliveries as each vendor signs them, made from the documented payloads in tests/fixtures/."""

import hashlib
import hmac
from base64 import b64encode
from pathlib import Path

from app import standard_webhooks
from app.crm import Delivery
from tests.make import NOON

FIXTURES = Path(__file__).parent.parent / "fixtures"
SECRETS = {
    "generic": "whsec_" + b64encode(b"generic".ljust(24, b"-")).decode(),
    "shopify": "shpss_0123456789abcdef",
    "hubspot": "hubspot-client-secret",
    "kommo": "a-secret-address-of-kommo",
}
URL = "http://test/hooks/{}"
FORM = "application/x-www-form-urlencoded"


def fixture(name: str) -> bytes:
    """A payload by "vendor/name.ext"."""
    return (FIXTURES / name).read_bytes().strip()


def headers_of(
    vendor: str, body: bytes, *, url: str, topic: str = "", event: str = "evt-1"
) -> dict[str, str]:
    """What the vendor sends with a body, signed."""
    secret = SECRETS[vendor].encode()
    if vendor == "generic":
        signed = standard_webhooks.headers(event, body, [SECRETS["generic"]], now=NOON)
        return signed | {"content-type": "application/json"}
    if vendor == "shopify":
        digest = b64encode(hmac.digest(secret, body, "sha256")).decode()
        return {
            "content-type": "application/json",
            "x-shopify-topic": topic,
            "x-shopify-event-id": event,
            "x-shopify-hmac-sha256": digest,
        }
    if vendor == "hubspot":
        digest = hashlib.sha256(secret + body).hexdigest()
        return {
            "content-type": "application/json",
            "x-hubspot-signature": digest,
            "x-hubspot-signature-version": "v1",
        }
    return {"content-type": FORM}


def delivery(vendor: str, body: bytes, **given: str) -> Delivery:
    url = URL.format(vendor)
    return Delivery(
        url=url,
        token=SECRETS["kommo"] if vendor == "kommo" else "",
        headers=headers_of(vendor, body, url=url, **given),
        body=body,
        received_at=NOON,
    )
