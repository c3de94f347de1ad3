"""A service account as Google's console gives it out, and bodies of the smallest class and object."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.simulators.google_wallet import ISSUER_ID
from tests.make import NOON

EMAIL = "wallet@passbell-test.iam.gserviceaccount.com"
CLASS_ID, OBJECT_ID = f"{ISSUER_ID}.coffee", f"{ISSUER_ID}.card-1"


@dataclass(frozen=True)
class KeyPair:
    private: str
    public: str


@cache
def key_pair() -> KeyPair:
    """The account's RSA key, made once: it takes a tenth of a second."""
    key = rsa.generate_private_key(65537, 2048)
    return KeyPair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def account_info(url: str) -> dict[str, str]:
    """The JSON key of the account, whose tokens are given out at `url`."""
    return {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key": key_pair().private,
        "private_key_id": "key1",
        "token_uri": f"{url}/token",
    }


def write_account(folder: Path, url: str) -> Path:
    path = folder / "google.json"
    path.write_text(json.dumps(account_info(url)), "utf-8")
    return path


def class_body(**fields: Any) -> dict[str, Any]:
    return {
        "id": CLASS_ID,
        "issuerName": "Coffee House",
        "programName": "Coffee",
        "programLogo": {"sourceUri": {"uri": "https://example.org/logo.png"}},
        "reviewStatus": "UNDER_REVIEW",
        **fields,
    }


def object_body(points: int = 0, **fields: Any) -> dict[str, Any]:
    balance = {"label": "Points", "balance": {"int": points}}
    return {"id": OBJECT_ID, "classId": CLASS_ID, "state": "ACTIVE", "loyaltyPoints": balance, **fields}


def save_link(payload: dict[str, Any], **claims: Any) -> str:
    """A save link signed by the account."""
    whole = {
        "iss": EMAIL,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(NOON.timestamp()),
        "payload": payload,
        **claims,
    }
    return f"https://pay.google.com/gp/v/save/{jwt.encode(whole, key_pair().private, algorithm='RS256')}"
