"""Writes app/wallets/google/schema.json: the fields Google Wallet's API knows, from its discovery document.

Google drops fields it does not know without a word, so Passbell checks its bodies itself. The document comes
with google-api-python-client, which only development installs: `python -m tests.wallets.google.schema_table`.
"""

import json
from pathlib import Path
from typing import Any

from googleapiclient.discovery_cache import get_static_doc

TARGET = Path(__file__).parents[3] / "app" / "wallets" / "google" / "schema.json"
KINDS = ("loyalty", "offer", "giftCard", "eventTicket", "flight", "transit", "generic")
ROOTS = [f"{kind[0].upper()}{kind[1:]}{end}" for kind in KINDS for end in ("Class", "Object")]


def schema_table() -> dict[str, dict[str, str]]:
    """By schema, its fields and their types, as `app/wallets/google/schema.py` reads them."""
    document = json.loads(get_static_doc("walletobjects", "v1") or "{}")
    schemas: dict[str, Any] = document["schemas"]
    table: dict[str, dict[str, str]] = {}
    waiting = ROOTS[::-1]
    while waiting:
        name = waiting.pop()
        if name in table:
            continue
        properties: dict[str, Any] = schemas[name]["properties"]
        table[name] = {field: _type(about) for field, about in properties.items()}
        waiting += [
            about.get("$ref") or about.get("items", {}).get("$ref", name) for about in properties.values()
        ]
    return dict(sorted(table.items()))


def _type(about: dict[str, Any]) -> str:
    """ "string", "int64", "[Image]", "ACTIVE|EXPIRED"; with "!" before it where it is deprecated."""
    mark = "!" if about.get("deprecated") else ""
    if about.get("type") == "array":
        return f"{mark}[{_type(about['items'])}]"
    if "enum" in about:
        gone = about.get("enumDeprecated", [False] * len(about["enum"]))
        return mark + "|".join(
            value for value, is_gone in zip(about["enum"], gone, strict=True) if not is_gone
        )
    kind = about.get("$ref") or about["type"]
    return mark + ("int64" if about.get("format") == "int64" else kind)


def main() -> None:
    """Write the table."""
    TARGET.write_text(json.dumps(schema_table(), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
