"""A delivery is kept: raw, once, in the transaction that also orders its handling."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Json, UtcDateTime, new_id
from app.job_queue import enqueue, kinds
from app.sql import run, typed_text

KEY_LENGTH_MAX = 128
URL_LENGTH_MAX = 2000
HEADER_LENGTH_MAX = 512

# What tells how to read the body, and the senders' own. Nothing that would let somebody in.
_KEPT_HEADERS = ("content-type", "user-agent", "webhook-", "x-")
_SECRET_HEADERS = ("signature", "hmac", "token", "secret", "key", "auth")

_STORE = typed_text(
    """
    INSERT INTO inbound_events (id, program_id, source_id, event_key, url, headers, body, state, details,
      attempts, received_at)
    VALUES (:id, :program_id, :source_id, :event_key, :url, :headers, :body, 'received', :details, 0, :now)
    ON CONFLICT (source_id, event_key) DO NOTHING RETURNING id
""",
    {
        "id": String(),
        "program_id": String(),
        "source_id": String(),
        "event_key": String(),
        "url": String(),
        "headers": Json(),
        "body": LargeBinary(),
        "details": Json(),
        "now": UtcDateTime(),
    },
)


async def keep(
    session: AsyncSession,
    *,
    program_id: str,
    source_id: str,
    event_id: str | None,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> str | None:
    """Keep a delivery and order its handling; the id it got, or None when it is here already."""
    event = new_id("inb")
    values = {
        "id": event,
        "program_id": program_id,
        "source_id": source_id,
        "event_key": event_key(event_id, body),
        "url": _storable(url[:URL_LENGTH_MAX]),
        "headers": _kept(headers),
        "body": body,
        "details": {},
        "now": now,
    }
    rows = await run(session, _STORE, values)
    if not rows:
        return None
    await enqueue(session, kinds.HANDLE_INBOUND, {"event_id": event}, priority=kinds.LIVE)
    return event


def event_key(event_id: str | None, body: bytes) -> str:
    """What two deliveries of one event have in common: the source's id of it, else a digest."""
    if event_id and len(event_id) <= KEY_LENGTH_MAX and event_id.isascii() and event_id.isprintable():
        return event_id
    return f"sha256:{hashlib.sha256(event_id.encode(errors='replace') if event_id else body).hexdigest()}"


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _storable(value[:HEADER_LENGTH_MAX])
        for name, value in headers.items()
        if name.startswith(_KEPT_HEADERS) and not any(word in name for word in _SECRET_HEADERS)
    }


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()
