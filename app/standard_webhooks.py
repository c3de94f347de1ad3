"""Signatures of webhooks as the Standard Webhooks specification has them, for both directions.

Signed is "{id}.{timestamp}.{body}" with HMAC-SHA256; a secret is "whsec_" and base64 of 24 to 64 bytes.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

PREFIX = "whsec_"
SECRET_BYTES = 32
TOLERANCE_SECONDS = 300
SIGNATURES_MAX = 10
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class BadSecret(ValueError):
    """A secret that is no "whsec_..."."""


def new_secret() -> str:
    """A fresh secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes a secret stands for. Raises BadSecret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret("a secret is whsec_ followed by base64") from error
    if not 24 <= len(key) <= 64:
        raise BadSecret("a secret has 24 to 64 bytes, written as base64 after whsec_")
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, "v1,{base64}"; `timestamp` is a Unix second."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return f"v1,{base64.b64encode(hmac.digest(key_of(secret), signed, sha256)).decode()}"


def headers(message_id: str, body: bytes, keys: Iterable[str], *, now: datetime) -> dict[str, str]:
    """The three headers of a message, signed with each of the secrets."""
    timestamp = int(now.timestamp())
    signatures = " ".join(sign(each, message_id, timestamp, body) for each in keys)
    return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: signatures}


def is_signed(given: Mapping[str, str], body: bytes, keys: Sequence[str], *, now: datetime) -> bool:
    """Whether one of the secrets signed this body within five minutes. Header names are in lower case."""
    message_id, timestamp = given.get(ID, ""), given.get(TIMESTAMP, "")
    if not (message_id and message_id.isascii() and timestamp.isascii() and timestamp.isdecimal()):
        return False
    if len(timestamp) > 12 or abs(int(timestamp) - now.timestamp()) > TOLERANCE_SECONDS:
        return False
    right = [sign(each, message_id, int(timestamp), body).encode() for each in keys]
    offered = given.get(SIGNATURE, "").split(" ")[:SIGNATURES_MAX]
    # Every comparison is made, so that the time tells nothing of which one failed.
    return any([hmac.compare_digest(each.encode(), one) for each in offered for one in right])
