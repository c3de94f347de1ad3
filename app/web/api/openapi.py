"""The API's description: OpenAPI 3.1, from the routes themselves."""

from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app import __version__
from app.web import api
from app.web.api.values import ProblemOut

OPENAPI_URL = "/api/openapi.json"

_DESCRIPTION = """\
Members, points and wallet passes of one loyalty programme: the one your API key belongs to.

**Keys.** `Authorization: Bearer pb_live_...`; `passbell key create` makes one, with the scopes it needs.

**Once.** A request that moves points, creates something or sends a message carries an `Idempotency-Key`:
a UUID of your own. Sent again under the same key it happens once, and you get the first answer, byte for
byte, with the header `Idempotency-Replayed: true`. The same key with another body is refused (422); while the
first is still running the answer is 409 with `Retry-After`. Answers are kept for at least 30 days. Changes
of state, such as void and block, may be repeated as they are.

**Errors** are `application/problem+json` (RFC 9457): `code` is stable, `errors` names the fields at fault.

**Lists** come in pages, newest first: `limit` (1 to 200), then `cursor=next_cursor` while `has_more`.

**Values.** Points are integers, money is a string ("199.00"), times are RFC 3339 in UTC, phones E.164.
New fields may appear in answers at any time; a field that is not known in a request is refused by name.
"""
_TAGS = {
    "members": "People in the programme. Members on one phone number share an account.",
    "accounts": "Balances and tiers, and the ledger behind them.",
    "transactions": "Moving points. Every movement changes the passes and rings the phones.",
    "passes": "Wallet passes: issue, void, replace, send, and the story of each.",
    "messages": "SMS and e-mails to people, and what became of them.",
    "webhooks": "Telling other systems what happens: signed deliveries, or a feed to fetch.",
    "sources": "CRMs, shops and tills that deliver events to `/hooks/{slug}`.",
    "inbox": "What sources delivered: what became of it, and handling it once more.",
    "templates": "How passes look. Templates are folders on the server; here they are read.",
    "campaigns": "Messages to an audience: drafted, planned exactly, approved, run.",
    "segments": "Parts of the programme's members: by a condition, or as a list.",
    "devices": "What phones complained about.",
    "program": "The programme of this API key.",
}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    described = get_openapi(
        title="Passbell API",
        version=__version__,
        openapi_version="3.1.0",
        summary="Loyalty points and the wallet passes that show them",
        description=_DESCRIPTION,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        servers=[{"url": "/", "description": "This installation"}],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        routes=api.router.routes,
    )
    schemas = described["components"]["schemas"]
    schemas["Problem"] = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
    for operations in described["paths"].values():
        for operation in operations.values():
            _name_headers(operation)
    return described


def _name_headers(operation: dict[str, Any]) -> None:
    """Say of the Idempotency-Key what is true of it: the code answers its absence itself, with 400."""
    for parameter in operation.get("parameters", []):
        if parameter["name"].lower() == "idempotency-key":
            parameter |= {
                "name": "Idempotency-Key",
                "required": True,
                "schema": {"type": "string", "pattern": "^[ -~]{1,255}$"},
                "example": "6f9d6c0e-0b7e-4f0a-9d5e-2f1a1c3b5d7e",
            }


def describe(app: FastAPI) -> None:
    """Have the application give this document at its openapi_url."""
    app.openapi = document
