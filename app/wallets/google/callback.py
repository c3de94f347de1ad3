"""What Google posts when a pass is saved or removed: believed only when its signatures hold. Pure.

Protocol ECv2SigningOnly: a root key that Google publishes signs an intermediate key, which signs the message.
Contract: "Use callbacks" of the Google Wallet documentation, and Tink's PaymentMethodTokenRecipient for what
that leaves out. Checked on real callbacks: the sender is "GooglePayPasses", though a page says otherwise.
"""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

KEYS_URL = "https://pay.google.com/gp/m/issuer/keys"
PROTOCOL = "ECv2SigningOnly"
SENDER = "GooglePayPasses"

_KEYS_MAX = 10
_SIGNATURES_MAX = 5
_TEXT_MAX = 20_000  # characters of a signed part; real ones have some hundred


class NotGenuine(Exception):
    """A callback that cannot be shown to be Google's, about a pass of ours. Says why."""


@dataclass(frozen=True)
class RootKey:
    """A key Google signs with, until a moment in milliseconds since 1970."""

    key: ec.EllipticCurvePublicKey
    until_millis: int


@dataclass(frozen=True)
class Callback:
    """A pass was saved to an account, or removed from one. `nonce` is the same when it is delivered again."""

    event: Literal["save", "del"]
    class_id: str
    object_id: str
    nonce: str


def root_keys(document: object) -> tuple[RootKey, ...]:
    """The usable keys of what Google publishes at KEYS_URL; none when it is something else.

    A key without an expiry is left out: this protocol demands one.
    """
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    listed = fields.get("keys")
    each = cast("list[Any]", listed)[:_KEYS_MAX] if isinstance(listed, list) else []
    return tuple(key for key in map(_root_key, each) if key is not None)


def _root_key(listed: Any) -> RootKey | None:
    try:
        if listed["protocolVersion"] != PROTOCOL:
            return None
        return RootKey(_public_key(listed["keyValue"]), _millis(listed["keyExpiration"]))
    except (KeyError, TypeError, NotGenuine):
        return None


def verified(body: bytes, keys: Sequence[RootKey], *, issuer_id: str, now: datetime) -> Callback:
    """The callback in a request's body. `issuer_id` is our own, never one the message names.

    Raises NotGenuine.
    """
    outer = _object(_read(body))
    if outer.get("protocolVersion") != PROTOCOL:
        raise NotGenuine("another protocol")
    now_millis = int(now.timestamp() * 1000)
    message = _text(outer.get("signedMessage"))
    intermediate = _intermediate_key(_object(outer.get("intermediateSigningKey")), keys, now_millis)
    signed = length_value(SENDER, issuer_id, PROTOCOL, message)
    if not _is_signed(intermediate, _text(outer.get("signature")), signed):
        raise NotGenuine("the message's signature does not hold")
    return _callback(_object(_read(message)), issuer_id, now_millis)


def _intermediate_key(
    given: Mapping[str, Any], keys: Sequence[RootKey], now_millis: int
) -> ec.EllipticCurvePublicKey:
    """The key that signed the message, itself signed by one of the root keys: any signature, any key."""
    text = _text(given.get("signedKey"))
    signatures = given.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        raise NotGenuine("the intermediate key is not signed")
    signed = length_value(SENDER, PROTOCOL, text)
    valid = [key.key for key in keys if key.until_millis > now_millis]
    tried = cast("list[Any]", signatures)[:_SIGNATURES_MAX]
    if not any(_is_signed(key, _text(each), signed) for each in tried for key in valid):
        raise NotGenuine("no root key of today signed the intermediate key")
    named = _object(_read(text))
    if _millis(named.get("keyExpiration")) <= now_millis:
        raise NotGenuine("the intermediate key has expired")
    return _public_key(named.get("keyValue"))


def _callback(message: Mapping[str, Any], issuer_id: str, now_millis: int) -> Callback:
    if _millis(message.get("expTimeMillis")) <= now_millis:
        raise NotGenuine("the message has expired")
    event = message.get("eventType")
    if event not in ("save", "del"):
        raise NotGenuine("an unknown event")
    called = Callback(
        event,
        _text(message.get("classId")),
        _text(message.get("objectId")),
        _text(message.get("nonce")),
    )
    if not all(each.startswith(f"{issuer_id}.") for each in (called.class_id, called.object_id)):
        raise NotGenuine("a pass of another issuer")
    return called


def length_value(*parts: str) -> bytes:
    """What is signed: each part after its length in bytes (not letters), as four bytes, the lowest first."""
    return b"".join(len(part).to_bytes(4, "little") + part for part in map(_encoded, parts))


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can carry
        raise NotGenuine("a text that is no Unicode") from error


def _is_signed(key: ec.EllipticCurvePublicKey, signature: str, signed: bytes) -> bool:
    try:
        key.verify(_decoded(signature), signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, NotGenuine):
        return False
    return True


def _public_key(value: object) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(_decoded(_text(value)))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotGenuine("a key that cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NotGenuine("a key of another kind")
    return key


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise NotGenuine("a text that is no base64") from error


def _read(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotGenuine("no JSON") from error


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotGenuine("no JSON object")
    return cast("dict[str, Any]", value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_MAX:
        raise NotGenuine("a text is missing")
    return value


def _millis(value: object) -> int:
    """A moment as Google writes it: a number, or one in quotes."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise NotGenuine("a moment that cannot be read")
    return int(text)
