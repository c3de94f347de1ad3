"""Web push, its cryptography: a message only one browser can read (RFC 8291), and who sends it (RFC 8292)."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PLAINTEXT_OCTETS_MAX = 3000  # a push service need not take more than 4,096 octets in all
POINT_OCTETS, SECRET_OCTETS = 65, 16
_RECORD_SIZE = (4096).to_bytes(4, "big")
_TOKEN_LIFE = timedelta(hours=12)  # RFC 8292 allows 24

# The order of P-256: a private key is a number below it.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class BadSubscription(ValueError):
    """What a browser gave as its keys is none."""


@dataclass(frozen=True)
class BrowserKeys:
    """A browser's public key, a point of P-256, and the secret shared with it; base64url."""

    p256dh: str
    auth: str

    def decoded(self) -> tuple[bytes, bytes]:
        """The point and the secret. Raises BadSubscription."""
        try:
            point, secret = from_base64url(self.p256dh), from_base64url(self.auth)
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise BadSubscription("p256dh is no point of P-256 in base64url") from error
        if len(point) != POINT_OCTETS or len(secret) != SECRET_OCTETS:
            raise BadSubscription("p256dh has 65 octets and auth 16, in base64url")
        return point, secret


def encrypt(
    plaintext: bytes,
    keys: BrowserKeys,
    *,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push, content encoding aes128gcm. `sender` and `salt` are fresh; given only by tests."""
    if len(plaintext) > PLAINTEXT_OCTETS_MAX:
        raise ValueError(f"{len(plaintext)} octets; a push carries at most {PLAINTEXT_OCTETS_MAX}")
    browser, secret = keys.decoded()
    sender = sender or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    point = _point_of(sender)
    shared = sender.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), browser))
    content_key, nonce = content_keys(shared, secret, salt, browser=browser, sender=point)
    sealed = AESGCM(content_key).encrypt(nonce, plaintext + b"\x02", None)  # 2: the last record
    return salt + _RECORD_SIZE + bytes([len(point)]) + point + sealed


def content_keys(
    shared: bytes, secret: bytes, salt: bytes, *, browser: bytes, sender: bytes
) -> tuple[bytes, bytes]:
    """The AES key and the nonce of a push, from what both sides know. RFC 8291, section 3.4."""
    info = b"WebPush: info\x00" + browser + sender
    input_key = HKDF(SHA256(), 32, salt=secret, info=info).derive(shared)
    key = HKDF(SHA256(), 16, salt=salt, info=b"Content-Encoding: aes128gcm\x00").derive(input_key)
    nonce = HKDF(SHA256(), 12, salt=salt, info=b"Content-Encoding: nonce\x00").derive(input_key)
    return key, nonce


class Vapid:
    """The installation's name to push services: a key made from its secret, and so the same for its life."""

    def __init__(self, secret_key: bytes, *, subject: str) -> None:
        seed = HKDFExpand(SHA256(), 48, info=b"passbell.vapid.v1").derive(secret_key)
        scalar = int.from_bytes(seed, "big") % (_ORDER - 1) + 1
        self._key = ec.derive_private_key(scalar, ec.SECP256R1())
        self._subject = subject  # https: or mailto:, for a push service that has something to say
        self.public_key = to_base64url(_point_of(self._key))

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The Authorization header of a push to this address."""
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + _TOKEN_LIFE).timestamp()),
            "sub": self._subject,
        }
        return f"vapid t={jwt.encode(claims, self._key, algorithm='ES256')}, k={self.public_key}"


def _point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def to_base64url(data: bytes) -> str:
    """base64url without padding, as all of web push writes octets."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The octets of base64url text, padded or not. Raises ValueError."""
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
