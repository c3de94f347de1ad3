"""Secrets of others at rest: sealed under the installation's own, so that a copied database tells none.

AES-256-GCM (NIST SP 800-38D) with a random nonce. `context`, such as the row's id, is sealed in: what was
moved to another row does not open.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class CannotUnseal(Exception):
    """The secrets were sealed under another secret key, or changed since."""


def seal(secret_key: bytes, context: str, values: Mapping[str, str]) -> bytes:
    """The values in a form that only the same key and context open."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(secret_key).encrypt(nonce, orjson.dumps(dict(values)), context.encode())


def unseal(secret_key: bytes, context: str, sealed: bytes) -> dict[str, str]:
    """What was sealed. Raises CannotUnseal."""
    nonce, encrypted = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return orjson.loads(_cipher(secret_key).decrypt(nonce, encrypted, context.encode()))
    except (InvalidTag, ValueError) as error:
        raise CannotUnseal(
            f"the secrets of {context} do not open: was PASSBELL_SECRET_KEY changed? Then set them anew"
        ) from error


def _cipher(secret_key: bytes) -> AESGCM:
    return AESGCM(hmac.digest(secret_key, b"passbell.sealing.v1", hashlib.sha256))
