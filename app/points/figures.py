"""The figures of a programme's home page, each defined here in one sentence. Counted now, from the rows.

Entries and the lines of stories are found by their ids, which sort by when they were written down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, func, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import oldest_id
from app.members.models import Account, Member, Program
from app.passes import trace
from app.passes.models import GoogleObject, Pass, Registration, TraceEvent, WebSubscription
from app.points.models import Entry


@dataclass(frozen=True)
class Figures:
    """Of a programme in a period. Points are whole points."""

    members: int  # all there are
    joined: int  # members who became one in the period
    on_phones: int  # active passes that a phone or a browser holds now
    installed: int  # times a wallet took a pass in the period
    removed: int  # times a wallet gave one up
    issued: int  # points credited in the period, corrections too
    spent: int  # points redeemed
    owed: int  # points that members may still spend
    pushes: int  # pushes that Apple or a browser's service took in the period
    joined_by_day: Sequence[tuple[datetime, int]]  # midnight on the programme's clock, oldest first


async def of_program(session: AsyncSession, program: Program, *, days: int, now: datetime) -> Figures:
    """The figures of the last `days` days, today included."""
    midnights = _midnights(program, days, now)
    since = midnights[0]
    members = Member.program_id == program.id
    entries = and_(Entry.program_id == program.id, Entry.id >= oldest_id("ent", since))
    lines = and_(TraceEvent.program_id == program.id, TraceEvent.id >= oldest_id("trc", since))

    async def count(*where: ColumnElement[bool]) -> int:
        return await session.scalar(select(func.count()).where(*where)) or 0

    told = (
        await session.execute(
            select(*(_times(TraceEvent.kind == kind) for kind in _KINDS)).where(
                lines, TraceEvent.kind.in_(_KINDS)
            )
        )
    ).one()
    issued, spent = (
        await session.execute(
            select(_sum(Entry.points > 0, Entry.points), _sum(Entry.kind == "redeem", -Entry.points)).where(
                entries
            )
        )
    ).one()
    owed = await session.scalar(select(func.sum(Account.balance)).where(Account.program_id == program.id))
    return Figures(
        members=await count(members),
        joined=await count(members, Member.created_at >= since),
        on_phones=await session.scalar(_on_phones(program.id)) or 0,
        installed=int(told[0] or 0),
        removed=int(told[1] or 0),
        issued=int(issued or 0),
        spent=int(spent or 0),
        owed=int(owed or 0),
        pushes=int(told[2] or 0),
        joined_by_day=await _by_day(session, program.id, midnights),
    )


_KINDS = (trace.INSTALLED, trace.UNINSTALLED, trace.PUSH_ACCEPTED)


def _times(is_it: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((is_it, 1), else_=0))


def _sum(is_it: ColumnElement[bool], value: Any) -> ColumnElement[int]:
    return func.sum(case((is_it, value), else_=0))


def _on_phones(program_id: str) -> Select[int]:
    active = (Pass.program_id == program_id, Pass.state == "active")
    held = union(
        select(Registration.pass_id).join(Pass).where(*active),
        select(GoogleObject.pass_id).join(Pass).where(*active, GoogleObject.has_users),
        select(WebSubscription.pass_id).join(Pass).where(*active),
    ).subquery()
    return select(func.count()).select_from(held)


def _midnights(program: Program, days: int, now: datetime) -> list[datetime]:
    zone = ZoneInfo(program.time_zone)
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=ago) for ago in range(days - 1, -1, -1)]


async def _by_day(
    session: AsyncSession, program_id: str, midnights: Sequence[datetime]
) -> list[tuple[datetime, int]]:
    edges = [*midnights, midnights[-1] + timedelta(days=2)]
    columns = [
        _times(and_(Member.created_at >= start, Member.created_at < end)) for start, end in pairwise(edges)
    ]
    row = (
        await session.execute(
            select(*columns).where(Member.program_id == program_id, Member.created_at >= edges[0])
        )
    ).one()
    return [(at, int(count or 0)) for at, count in zip(midnights, row, strict=True)]
