"""Balances that follow each other: in a programme that mirrors, what moves one account of a phone moves all.

A family's default is one account, whose balance each of its cards shows. Some brands want a balance on each
contact instead, changed on all of them by one event; it owes the points as often as there are cards. So the
programme must say so, and every copy is an entry of its own that names the one it follows.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import aliased

from app.db import Sessions
from app.members.models import Account, Member, Program
from app.points.entries import EntryView, entry_of_event
from app.points.movements import Movement
from app.points.posting import post_and_tell

SOURCE = "mirror"  # of the copies; their event is the entry they follow
MIRRORED = "mirrored"
_COPIED = ("earn", "redeem", "adjust")
_BELIEVED_SECONDS = 2.0

_seen: WeakKeyDictionary[Engine, tuple[float, frozenset[str]]] = WeakKeyDictionary()


async def is_mirrored(engine: AsyncEngine, sessions: Sessions, program_id: str | None) -> bool:
    """Whether a programme's balances follow each other, as this process knew within the last two seconds."""
    until, programs = _seen.get(engine.sync_engine, (0.0, frozenset[str]()))
    if until < time.monotonic():
        async with sessions() as session:
            found = await session.scalars(select(Program.id).where(Program.balances == MIRRORED))
            programs = frozenset(found)
        _seen[engine.sync_engine] = (time.monotonic() + _BELIEVED_SECONDS, programs)
    return program_id is None or program_id in programs


async def lock_all(session: AsyncSession, account_id: str) -> Sequence[str]:
    """The other accounts of the account's phones, all locked with it in one order; none where none follow."""
    mine, other = aliased(Member), aliased(Member)
    query = (
        select(other.account_id)
        .join(mine, (mine.program_id == other.program_id) & (mine.phone == other.phone))
        .join(Program, Program.id == mine.program_id)
        .where(mine.account_id == account_id, other.account_id != account_id, Program.balances == MIRRORED)
        .distinct()
    )
    others = sorted(await session.scalars(query))
    if others:
        every = select(Account.id).where(Account.id.in_([account_id, *others])).order_by(Account.id)
        await session.execute(every.with_for_update())
    return others


async def follow(session: AsyncSession, entry: EntryView, movement: Movement, others: Sequence[str]) -> None:
    """Post what was just posted to the other accounts too. An account that has less gives what it has."""
    for account_id in others:
        if entry.reverses_id is not None:
            await _reverse_copy(session, entry, movement, account_id)
        elif entry.kind in _COPIED:
            await _copy(session, entry, movement, account_id)


async def _copy(session: AsyncSession, entry: EntryView, movement: Movement, account_id: str) -> None:
    points = max(movement.points, -await _balance(session, account_id))
    if points:
        # By the operator: a blocked card's balance follows as well.
        copied = replace(movement, points=points, member_id=None, by_operator=True)
        await _post(session, entry, copied, account_id)


async def _reverse_copy(session: AsyncSession, entry: EntryView, movement: Movement, account_id: str) -> None:
    assert entry.reverses_id is not None
    copy = await entry_of_event(session, entry.program_id, SOURCE, _event(entry.reverses_id, account_id))
    if copy is None:
        return  # the account came later, or had nothing to give
    balance = await _balance(session, account_id)
    if balance >= copy.points:
        undone = replace(
            movement,
            points=-copy.points,
            reverses_id=copy.id,
            tier_points=-copy.tier_points,
            tier_at=copy.at,
            first_lot_id=copy.id,
        )
        await _post(session, entry, undone, account_id)
    elif balance:  # a reversal is of the whole entry: what is left of it is taken by a correction
        left = replace(
            movement,
            kind="adjust",
            points=-balance,
            reverses_id=None,
            tier_points=0,
            first_lot_id=copy.id,
        )
        await _post(session, entry, left, account_id)


async def _balance(session: AsyncSession, account_id: str) -> int:
    return await session.scalar(select(Account.balance).where(Account.id == account_id)) or 0


async def _post(session: AsyncSession, entry: EntryView, movement: Movement, account_id: str) -> None:
    event = _event(entry.id, account_id)
    await post_and_tell(session, replace(movement, account_id=account_id, source=SOURCE, source_event=event))


def _event(entry_id: str, account_id: str) -> str:
    return f"{entry_id}:{account_id}"
