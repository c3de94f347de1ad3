"""What Google posts when a pass is saved or removed: signed messages, with a root and an intermediate key.

ECv2SigningOnly as Google documents it: the root key signs an intermediate key, which signs the message.
"""

import json
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Literal
from uuid import uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.simulators.google_wallet.answers import Body

SENDER = "GooglePayPasses"
PROTOCOL = "ECv2SigningOnly"

Event = Literal["save", "del"]


class SigningKeys:
    """A root key and what it signed. Times are those the simulator's clock gives."""

    def __init__(self, now: datetime) -> None:
        self._root = ec.generate_private_key(ec.SECP256R1())
        self._intermediate = ec.generate_private_key(ec.SECP256R1())
        self.root_until = now + timedelta(days=365)
        self._intermediate_until = now + timedelta(days=7)

    def published(self) -> Body:
        """The document at /gp/m/issuer/keys; the key of an old protocol stands beside ours, as at Google."""
        key = _public(self._root)
        return {
            "keys": [
                {"keyValue": key, "protocolVersion": "ECv1"},
                {"keyValue": key, "protocolVersion": PROTOCOL, "keyExpiration": _millis(self.root_until)},
            ]
        }

    def signed(self, issuer_id: str, message: str) -> Body:
        """A whole callback around this message."""
        signed_key = json.dumps(
            {"keyValue": _public(self._intermediate), "keyExpiration": _millis(self._intermediate_until)}
        )
        return {
            "signature": _sign(self._intermediate, SENDER, issuer_id, PROTOCOL, message),
            "intermediateSigningKey": {
                "signedKey": signed_key,
                "signatures": [_sign(self._root, SENDER, PROTOCOL, signed_key)],
            },
            "protocolVersion": PROTOCOL,
            "signedMessage": message,
        }


def message_of(event: Event, class_id: str, object_id: str, *, now: datetime) -> str:
    """The text that is signed."""
    return json.dumps(
        {
            "classId": class_id,
            "objectId": object_id,
            "expTimeMillis": int((now + timedelta(hours=1)).timestamp() * 1000),
            "eventType": event,
            "nonce": uuid4().hex,
            "count": 1,
        }
    )


def length_value(*parts: str) -> bytes:
    """What is signed: each part after its length in bytes, four of them, the lowest first."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "little") + part for part in encoded)


def _sign(key: ec.EllipticCurvePrivateKey, *parts: str) -> str:
    return b64encode(key.sign(length_value(*parts), ec.ECDSA(hashes.SHA256()))).decode()


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(der).decode()


def _millis(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))
