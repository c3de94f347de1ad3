"""One valid pass and one valid template folder for tests to break, one fault at a time."""

import io
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from PIL import Image

from app.wallets.content import PassIdentity

IDENTITY = PassIdentity(
    pass_type_identifier="pass.com.example.loyalty",
    team_identifier="ABCDE12345",
    serial_number="0001",
    authentication_token="0123456789abcdef",
    web_service_url="https://example.com/apple",
)

# A P-256 public key made for these tests, X.509 SubjectPublicKeyInfo.
NFC_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YvZxuX3wXkD1G9D9DXohAid7rsC0IHZOZInbpqfs31f3cTgX46lD3lP5QJWfaE+"
    "2stMNQUjV66cx6dWLnp9vQ=="
)


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#4b2e20").save(out, "PNG")
    return out.getvalue()


ICONS = {"icon.png": png(38, 38), "icon@2x.png": png(76, 76), "icon@3x.png": png(114, 114)}

VALID: dict[str, Any] = {
    "formatVersion": 1,
    "passTypeIdentifier": "pass.com.example.loyalty",
    "teamIdentifier": "ABCDE12345",
    "serialNumber": "0001",
    "organizationName": "Morning & Bean",
    "description": "Points card",
    "authenticationToken": "0123456789abcdef",
    "webServiceURL": "https://example.com/apple",
    "backgroundColor": "rgb(59, 36, 24)",
    "expirationDate": "2027-01-01T00:00:00+05:00",
    "storeCard": {
        "headerFields": [{"key": "tier", "label": "Level", "value": "Gold"}],
        "primaryFields": [{"key": "balance", "value": 12, "changeMessage": "Now %@"}],
        "secondaryFields": [{"key": "member", "value": "Alice"}],
        "auxiliaryFields": [],
        "backFields": [{"key": "news", "value": "", "changeMessage": "%@"}],
    },
    "barcodes": [{"format": "PKBarcodeFormatQR", "message": "4600", "messageEncoding": "iso-8859-1"}],
    "locations": [{"latitude": 43.2, "longitude": 76.9}],
    "maxDistance": 100,
    "beacons": [{"proximityUUID": "f8f589e9-c07e-4b57-9e1c-7d3f0a3f1f42", "major": 1}],
    "relevantDates": [{"date": "2026-11-22T10:00:00Z"}],
    "nfc": {"message": "4600", "encryptionPublicKey": NFC_KEY},
    "semantics": {
        "balance": {"amount": "12", "currencyCode": "KZT"},
        "eventStartDate": "2026-11-22T10:00:00Z",
    },
    "featuredActions": [{"identifier": "shop", "type": "shop", "url": "https://example.com"}],
    "associatedStoreIdentifiers": [284910350],
    "appLaunchURL": "example://card",
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The valid pass with values set by path ("storeCard.backFields.0.value"); None removes the key."""
    tree = deepcopy(VALID)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node: Any = tree
        for key in parents:
            node = node[int(key)] if isinstance(node, list) else node[key]
        if value is None:
            del node[last]
        elif isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    return tree


TOML = """
style = "storeCard"
languages = ["en", "ru"]
organization = "@name"
description = "@name"

[colors]
background = "#3b2418"
foreground = "#ffffff"
"""
BALANCE = """
[[fields]]
key = "balance"
placement = "primary"
value = "{{ points|number }}"
"""
NEWS = """
[[fields]]
key = "news"
placement = "back"
value = "{{ message }}"
change_message = "%@"
"""
SAMPLE: dict[str, Any] = {
    "values": {"points": 8, "message": "", "answer_level": "1"},
    "barcode": "4600",
    "country": "KZ",
    "currency": "KZT",
    "time_zone": "Asia/Almaty",
}


def write_template(folder: Path, toml: str = TOML + BALANCE + NEWS, **files: str | bytes | None) -> Path:
    """A valid template folder; `files` replace or add files by path, with "/" and "." as they are."""
    written: dict[str, str | bytes | None] = {
        "template.toml": toml,
        "locales/en.toml": 'name = "Card"',
        "locales/ru.toml": 'name = "Карта"',
        "sample.json": json.dumps(SAMPLE),
        **{f"images/{name}": data for name, data in ICONS.items()},
        **files,
    }
    for path, data in written.items():
        if data is None:
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder
