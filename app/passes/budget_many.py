"""The budget of many passes at a time: what a campaign may push to iPhones now, in a few statements."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upsert
from app.members.models import Program
from app.passes import budget, trace
from app.passes.budget import Decision, Rules
from app.passes.models import Ring, TraceEvent
from app.passes.outbox_chunk import Owed
from app.passes.versions import APPLE


@dataclass(frozen=True)
class HeldBack:
    """What of a chunk is not pushed now: waiting until then, or for good."""

    deferred: Mapping[str, Decision]
    silent: Mapping[str, Decision]

    @property
    def until(self) -> datetime | None:
        """When the first of the deferred ones may ring."""
        return min((each.until for each in self.deferred.values() if each.until), default=None)


async def hold_back(session: AsyncSession, owed: Mapping[str, Owed], *, now: datetime) -> HeldBack:
    """What a campaign may not push now, written into the passes' stories; the others' rings are counted.

    Counted before they are sent, and only where a programme's cap ever asks for them: a try after this one
    finds its own and is let through.
    """
    rules = await _rules(session, {each.program_id for each in owed.values()})
    capped = {
        pass_id for pass_id, each in owed.items() if rules[each.program_id].campaign_rings_per_day is not None
    }
    rang = await _rang(session, {pass_id: owed[pass_id] for pass_id in capped}, now=now)
    held: dict[str, Decision] = {}
    for pass_id, each in owed.items():
        decision = budget.decide_campaign(
            rules[each.program_id], rang.get(pass_id, ()), APPLE, "field", now=now
        )
        if decision.outcome != budget.RINGS:
            held[pass_id] = decision
    await _count(session, {pass_id: owed[pass_id] for pass_id in capped - held.keys()}, now=now)
    await _tell_stories(session, owed, held, now=now)
    return HeldBack(
        {pass_id: each for pass_id, each in held.items() if each.outcome == budget.DEFERRED},
        {pass_id: each for pass_id, each in held.items() if each.outcome == budget.SILENT},
    )


async def _rules(session: AsyncSession, program_ids: Collection[str]) -> dict[str, Rules]:
    query = select(Program.id, Program.time_zone, Program.quiet_hours, Program.campaign_rings_per_day).where(
        Program.id.in_(program_ids)
    )
    return {row[0]: Rules(row[1], row[2], row[3]) for row in await session.execute(query)}


async def _rang(
    session: AsyncSession, owed: Mapping[str, Owed], *, now: datetime
) -> dict[str, Sequence[datetime]]:
    """By pass, when campaigns rang in the last 24 hours, oldest first; without those of this very version."""
    if not owed:
        return {}
    query = (
        select(Ring.pass_id, Ring.key, Ring.at)
        .where(
            Ring.pass_id.in_(owed),
            Ring.wallet == APPLE,
            Ring.purpose == "campaign",
            Ring.at > now - budget.DAY,
        )
        .order_by(Ring.at)
    )
    found: dict[str, list[datetime]] = {}
    for row in await session.execute(query):
        if row.key != _key(owed[row.pass_id]):
            found.setdefault(row.pass_id, []).append(row.at)
    return dict(found)


async def _count(session: AsyncSession, owed: Mapping[str, Owed], *, now: datetime) -> None:
    if not owed:
        return
    rows = [
        {
            "pass_id": pass_id,
            "wallet": APPLE,
            "cause": "field",
            "key": _key(each),
            "program_id": each.program_id,
            "purpose": "campaign",
            "at": now,
        }
        for pass_id, each in sorted(owed.items())
    ]
    await session.execute(upsert(session, Ring).on_conflict_do_nothing(), rows)


def _key(owed: Owed) -> str:
    return f"v{owed.version}"


async def _tell_stories(
    session: AsyncSession, owed: Mapping[str, Owed], held: Mapping[str, Decision], *, now: datetime
) -> None:
    """One line for each version that is held back, however often its job comes by."""
    if not held:
        return
    query = (
        select(TraceEvent.pass_id, func.max(TraceEvent.version))
        .where(TraceEvent.pass_id.in_(held), TraceEvent.kind == trace.PUSH_HELD_BACK)
        .group_by(TraceEvent.pass_id)
    )
    told = {row[0]: row[1] for row in await session.execute(query)}
    lines = [
        trace.Line(
            program_id=owed[pass_id].program_id,
            pass_id=pass_id,
            kind=trace.PUSH_HELD_BACK,
            version=owed[pass_id].version,
            details={
                "notify": each.outcome,
                "why": each.why,
                "until": each.until.isoformat() if each.until else None,
            },
        )
        for pass_id, each in held.items()
        if told.get(pass_id) != owed[pass_id].version
    ]
    await trace.record_lines(session, lines, now=now)
