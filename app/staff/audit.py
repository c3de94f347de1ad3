"""The audit log: who did what to what, before and after. Each entry's hash covers the one before it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.staff.models import AuditEntry

FIRST = "0" * 64  # what the first entry follows
_PAGE = 1000
_LOCK_KEY = 7_217_332  # of PostgreSQL's advisory lock: one entry at a time, or two would follow the same


class BrokenChain(Exception):
    """An entry was changed or taken out."""


@dataclass(frozen=True)
class Actor:
    """Who did it: a user's id, or "cli"."""

    id: str
    name: str


CLI = Actor("cli", "command line")


async def record(
    session: AsyncSession,
    who: Actor,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    now: datetime,
) -> AuditEntry:
    """Add an entry, in the transaction of what it tells of. Values must be plain JSON, and no secrets."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    newest = await session.scalar(select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1))
    entry = AuditEntry(
        number=1 if newest is None else newest.number + 1,
        at=now,
        who=who.id,
        who_name=who.name,
        action=action,
        subject=subject,
        before=dict(before or {}),
        after=dict(after or {}),
        hash="",
    )
    entry.hash = _hash(entry, FIRST if newest is None else newest.hash)
    session.add(entry)
    await session.flush()
    return entry


async def verify(session: AsyncSession, *, known: str | None = None) -> tuple[int, str]:
    """Walk the whole chain; how many entries it has, and the newest hash. Raises BrokenChain.

    `known` is a hash that was noted down earlier: it must still be there, or the end was cut off.
    """
    number, hash_, has_seen_known = 0, FIRST, known is None
    while True:
        query = select(AuditEntry).where(AuditEntry.number > number).order_by(AuditEntry.number).limit(_PAGE)
        entries = (await session.scalars(query)).all()
        for entry in entries:
            if entry.number != number + 1:
                raise BrokenChain(f"entry {number + 1} is missing")
            if entry.hash != _hash(entry, hash_):
                raise BrokenChain(f"entry {entry.number} is not what was written")
            number, hash_ = entry.number, entry.hash
            has_seen_known = has_seen_known or hash_ == known
        session.expunge_all()
        if len(entries) < _PAGE:
            break
    if not has_seen_known:
        raise BrokenChain("no entry has the hash that was noted down: the end was cut off")
    return number, hash_


def _hash(entry: AuditEntry, previous: str) -> str:
    facts = [
        previous,
        entry.number,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.who,
        entry.who_name,
        entry.action,
        entry.subject,
        entry.before,
        entry.after,
    ]
    written = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()
