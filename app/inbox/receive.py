"""A delivery is kept: raw, once, in the transaction that also orders its handling."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ARRAY, DateTime, Integer, LargeBinary, String, Text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from app.db import Json, UtcDateTime, new_id
from app.job_queue import enqueue_many, enqueue_sql, kinds
from app.sql import run, typed_text

KEY_LENGTH_MAX = 128
URL_LENGTH_MAX = 2000
HEADER_LENGTH_MAX = 512

# What tells how to read the body, and the senders' own. Nothing that would let somebody in.
_KEPT_HEADERS = ("content-type", "user-agent", "webhook-", "x-")
_SECRET_HEADERS = ("signature", "hmac", "token", "secret", "key", "auth")

_TYPES: dict[str, TypeEngine[Any]] = {
    "id": String(),
    "program_id": String(),
    "source_id": String(),
    "event_key": String(),
    "url": String(),
    "headers": Json(),
    "body": LargeBinary(),
    "details": Json(),
    "now": UtcDateTime(),
    "priority": Integer(),
}
_INTO = """
    INSERT INTO inbound_events (id, program_id, source_id, event_key, url, headers, body, state, details,
      attempts, received_at)
"""
_ONCE = "ON CONFLICT (source_id, event_key) DO NOTHING RETURNING id"
_STORE = typed_text(
    f"""{_INTO}
    VALUES (:id, :program_id, :source_id, :event_key, :url, :headers, :body, 'received', :details, 0, :now)
    {_ONCE}""",
    _TYPES,
)
# PostgreSQL: all that arrived meanwhile, with their jobs, by one statement. Bodies are no JSON, so each list
# comes as an array of its own.
_ORDER = enqueue_sql(
    f"'{kinds.HANDLE_INBOUND}'", "json_build_object('event_id', id)::text", "kept ORDER BY id"
)
_STORE_MANY = typed_text(
    f"""WITH kept AS ({_INTO}
      SELECT id, program_id, source_id, event_key, url, CAST(headers AS jsonb), body, 'received',
        CAST('{{}}' AS jsonb), 0, at
      FROM unnest(:ids, :program_ids, :source_ids, :event_keys, :urls, :headers, :bodies, :ats)
        AS given (id, program_id, source_id, event_key, url, headers, body, at)
      {_ONCE}
    ), ordered AS ({_ORDER}) SELECT id FROM kept""",  # noqa: S608  constants of this file
    {
        **{
            name: ARRAY(Text())
            for name in ("ids", "program_ids", "source_ids", "event_keys", "urls", "headers")
        },
        "bodies": ARRAY(LargeBinary()),
        "ats": ARRAY(DateTime(timezone=True)),
        "priority": Integer(),
    },
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery that was proven, as it came. `event_id` is the source's own, where it has one."""

    program_id: str
    source_id: str
    event_id: str | None
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime


async def keep(session: AsyncSession, arrived: Arrived) -> str | None:
    """Keep a delivery and order its handling; the id it got, or None when it is here already."""
    return (await keep_many(session, [arrived]))[0]


async def keep_many(session: AsyncSession, arrived: Sequence[Arrived]) -> list[str | None]:
    """The same for several that came together, in their order."""
    ids = [new_id("inb") for _ in arrived]
    if session.get_bind().dialect.name == "postgresql":
        values = {
            "ids": ids,
            "program_ids": [each.program_id for each in arrived],
            "source_ids": [each.source_id for each in arrived],
            "event_keys": [event_key(each.event_id, each.body) for each in arrived],
            "urls": [_storable(each.url[:URL_LENGTH_MAX]) for each in arrived],
            "headers": [orjson.dumps(_kept(each.headers)).decode() for each in arrived],
            "bodies": [each.body for each in arrived],
            "ats": [each.at for each in arrived],
            "priority": kinds.LIVE,
        }
        kept = {row.id for row in await session.execute(_STORE_MANY, values)}
    else:
        kept = {id_ for id_, each in zip(ids, arrived, strict=True) if await _keep_one(session, id_, each)}
        await enqueue_many(
            session,
            kinds.HANDLE_INBOUND,
            [{"event_id": id_} for id_ in ids if id_ in kept],
            priority=kinds.LIVE,
        )
    return [id_ if id_ in kept else None for id_ in ids]


async def _keep_one(session: AsyncSession, id_: str, arrived: Arrived) -> bool:
    values = {
        "id": id_,
        "program_id": arrived.program_id,
        "source_id": arrived.source_id,
        "event_key": event_key(arrived.event_id, arrived.body),
        "url": _storable(arrived.url[:URL_LENGTH_MAX]),
        "headers": _kept(arrived.headers),
        "body": arrived.body,
        "details": {},
        "now": arrived.at,
    }
    return bool(await run(session, _STORE, values))


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
