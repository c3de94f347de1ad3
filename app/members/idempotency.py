"""Answers kept by Idempotency-Key: what a client that repeats a request is told again, byte for byte."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Integer, LargeBinary, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import UtcDateTime
from app.members.models import StoredAnswer
from app.sql import run, typed_text


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it went out: the request it belongs to, and what was said."""

    request_hash: str
    status: int
    body: bytes


STORE = typed_text(
    """
    INSERT INTO stored_answers (program_id, key, request_hash, status, body, at)
    VALUES (:program_id, :key, :request_hash, :status, :body, :at)
    ON CONFLICT DO NOTHING RETURNING status
""",
    {
        "program_id": String(),
        "key": String(),
        "request_hash": String(),
        "status": Integer(),
        "body": LargeBinary(),
        "at": UtcDateTime(),
    },
)


async def store(session: AsyncSession, program_id: str, key: str, answer: Answer, *, now: datetime) -> bool:
    """Keep the first answer given under a key; False, with nothing kept, if there already is one.

    On PostgreSQL this waits for another transaction that is storing the same key right now.
    """
    values = {
        "program_id": program_id,
        "key": key,
        "request_hash": answer.request_hash,
        "status": answer.status,
        "body": answer.body,
        "at": now,
    }
    return bool(await run(session, STORE, values))


async def stored(session: AsyncSession, program_id: str, key: str) -> Answer | None:
    """The answer kept under a key, or None."""
    query = select(StoredAnswer.request_hash, StoredAnswer.status, StoredAnswer.body).where(
        StoredAnswer.program_id == program_id, StoredAnswer.key == key
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else Answer(row.request_hash, row.status, row.body)


async def forget(session: AsyncSession, *, before: datetime) -> int:
    """Drop the answers given before a time; how many there were. The ledger's own keys stay for ever."""
    result = await session.execute(delete(StoredAnswer).where(StoredAnswer.at < before))
    return cast("CursorResult[Any]", result).rowcount
