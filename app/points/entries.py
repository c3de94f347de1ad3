"""Reading the ledger: one entry, an account's history, what a source event became."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.points.models import Entry

HISTORY_LIMIT_MAX = 500


@dataclass(frozen=True, slots=True)
class EntryView:
    """One line of a ledger, as plain values. `points` is signed: a credit is above zero."""

    id: str
    program_id: str
    account_id: str
    sequence: int  # 1, 2, 3 ... within the account
    kind: str  # opening | earn | redeem | adjust | reverse | expire
    points: int
    balance_after: int
    reason: str
    source: str
    source_event: str
    reverses_id: str | None
    at: datetime
    member_id: str | None = None
    amount_minor_units: int | None = None  # of the purchase it was earned for
    tier_points: int = 0  # what it counts towards the tier


_SELECT = cast("Select[Any]", select(*(getattr(Entry, field) for field in EntryView.__slots__)))


async def _one(session: AsyncSession, *conditions: ColumnElement[bool]) -> EntryView | None:
    row = (await session.execute(_SELECT.where(*conditions))).one_or_none()
    return None if row is None else EntryView(*row)


async def entry(session: AsyncSession, entry_id: str, *, program_id: str | None = None) -> EntryView | None:
    """The entry with this id (in this programme, where one is given), or None."""
    if program_id is None:
        return await _one(session, Entry.id == entry_id)
    return await _one(session, Entry.id == entry_id, Entry.program_id == program_id)


async def entry_of_event(
    session: AsyncSession, program_id: str, source: str, source_event: str
) -> EntryView | None:
    """What this event of this source became in the programme's ledger, or None."""
    return await _one(
        session, Entry.program_id == program_id, Entry.source == source, Entry.source_event == source_event
    )


async def reversal_of(session: AsyncSession, entry_id: str) -> EntryView | None:
    """The entry that reverses this one, or None."""
    return await _one(session, Entry.reverses_id == entry_id)


async def history(
    session: AsyncSession, account_id: str, *, before: int | None = None, limit: int = 50
) -> Sequence[EntryView]:
    """An account's entries, newest first: at most `limit` (1 to 500), those with a sequence below `before`.

    The next page begins before the last entry's sequence; a page shorter than `limit` is the last.
    """
    if not 1 <= limit <= HISTORY_LIMIT_MAX:
        raise ValueError(f"limit {limit}: allowed are 1 to {HISTORY_LIMIT_MAX}")
    query = _SELECT.where(Entry.account_id == account_id)
    if before is not None:
        query = query.where(Entry.sequence < before)
    rows = await session.execute(query.order_by(Entry.sequence.desc()).limit(limit))
    return [EntryView(*row) for row in rows]
