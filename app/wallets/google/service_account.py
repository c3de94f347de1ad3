"""The service account that speaks for us at Google: its address and key, from Google's JSON key file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.errors import PermanentFailure


class BadServiceAccount(PermanentFailure):
    """The key file cannot be used. The message says why, and never what stands in it."""


@dataclass(frozen=True)
class ServiceAccount:
    """Who signs: `email` is the issuer of tokens and save links, `key_id` names the key. Loaded once."""

    email: str
    key_id: str
    token_uri: str
    private_key: RSAPrivateKey = field(repr=False)


def load_service_account(path: Path) -> ServiceAccount:
    """The account of a key file as Google's console gives it out. Raises BadServiceAccount."""
    try:
        named: Any = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadServiceAccount(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise BadServiceAccount(f"{path} is no JSON: give the key file as Google made it") from None
    return _account(str(path), named)


def _account(name: str, named: object) -> ServiceAccount:
    keys = cast("dict[str, object]", named) if isinstance(named, dict) else {}
    for key in ("client_email", "private_key", "private_key_id"):
        if not isinstance(keys.get(key), str):
            raise BadServiceAccount(f"{name} has no {key}: it must be the JSON key of a service account")
    # A key that came through an environment variable has its line feeds written out.
    pem = str(keys["private_key"]).replace("\\n", "\n").encode()
    try:
        private_key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise BadServiceAccount(f"{name}: private_key is no PEM key: download a new key file") from None
    if not isinstance(private_key, RSAPrivateKey):
        raise BadServiceAccount(f"{name}: private_key is no RSA key: Google signs with RS256 only")
    return ServiceAccount(
        email=str(keys["client_email"]),
        key_id=str(keys["private_key_id"]),
        token_uri=str(keys.get("token_uri") or "https://oauth2.googleapis.com/token"),
        private_key=private_key,
    )
