"""Carrying out a plan, a chunk in each transaction: message and points in one new version of each pass.

A chunk's changes, its recipients' states and the job of the next chunk are one commit. So a crash anywhere
goes on at the chunk's edge, and a repeated job finds that its step is over.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import approval, follow_ups, google_route, speed
from app.campaigns.announcing import tell_state
from app.campaigns.definition import Definition, parse
from app.campaigns.delivery import DUE_COLUMNS, Due, deliver
from app.campaigns.models import Campaign, Plan, Recipient
from app.campaigns.plan import Fingerprints
from app.campaigns.schedule import quiet_until
from app.db import locked
from app.members.models import Program


async def go_on(
    session: AsyncSession, campaign_id: str, step: int, fingerprints: Fingerprints, *, now: datetime
) -> None:
    """Do one chunk, and enqueue the next. Nothing, when the campaign was stopped or another job goes on."""
    campaign = await locked(session, select(Campaign).where(Campaign.id == campaign_id))
    if campaign.step != step or campaign.state not in ("approved", "running"):
        return
    plan = await session.get_one(Plan, campaign.plan_id)
    if campaign.state == "approved":
        is_started = _start(campaign, plan, fingerprints, now=now)
        await tell_state(session, campaign, now=now)
        if not is_started:
            return
        await google_route.begin(
            session, await session.get_one(Program, campaign.program_id), campaign, plan, now=now
        )
    if await speed.is_behind(session, campaign.program_id, now=now):
        await _next(session, campaign, run_at=now + speed.BACKLOG_WAIT)
        return
    await speed.adapt(session, campaign, now=now)

    program = await session.get_one(Program, campaign.program_id)
    definition = parse(plan.definition)
    chunk, wait_until = await _take(
        session, plan, definition, size=speed.chunk_size(campaign, definition), now=now
    )
    if chunk:
        done = await deliver(session, program, campaign, definition, chunk, now=now)
        campaign.done += done
        campaign.skipped += len(chunk) - done
        await _next(session, campaign, run_at=now + speed.wait_after(campaign, definition, len(chunk)))
    elif wait_until is not None:
        await _next(session, campaign, run_at=wait_until)
    else:
        campaign.state, campaign.finished_at = "done", now
        await google_route.finish(session, campaign, now=now)
        await tell_state(session, campaign, now=now)
        await follow_ups.enqueue_next(session, campaign, definition, now=now)


def _start(campaign: Campaign, plan: Plan, fingerprints: Fingerprints, *, now: datetime) -> bool:
    """Begin, unless a template has changed since the plan: then nothing is sent and the reason is kept."""
    try:
        approval.check_templates(plan.templates, fingerprints)
    except approval.TemplateChanged as refusal:
        campaign.state, campaign.reason, campaign.finished_at = "stopped", str(refusal), now
        return False
    campaign.state, campaign.started_at = "running", campaign.started_at or now
    return True


async def _next(session: AsyncSession, campaign: Campaign, *, run_at: datetime | None) -> None:
    campaign.step += 1
    await session.flush()
    await approval.enqueue_step(session, campaign, run_at=run_at)


async def _take(
    session: AsyncSession, plan: Plan, definition: Definition, *, size: int, now: datetime
) -> tuple[Sequence[Due], datetime | None]:
    """The next recipients whose time it is; without any, when the next ones are due (None: never)."""
    waits: list[datetime] = []
    for zone, at in sorted(plan.zones.items()):
        due = None if at is None else datetime.fromisoformat(at)
        wait = due if due is not None and due > now else quiet_until(definition.quiet_hours, zone, now)
        if wait is None:
            if chunk := await _chunk(session, plan.id, zone, size):
                return chunk, None
        elif await _chunk(session, plan.id, zone, 1):
            waits.append(wait)
    return (), min(waits, default=None)


async def _chunk(session: AsyncSession, plan_id: str, zone: str, size: int) -> list[Due]:
    """The next recipients on this clock; of the last account all, so that its passes change once."""
    planned = select(*DUE_COLUMNS).where(
        Recipient.plan_id == plan_id, Recipient.zone == zone, Recipient.state == "planned"
    )
    chunk = await _due(session, planned.order_by(Recipient.position).limit(size))
    if len(chunk) < size:
        return chunk
    last = chunk[-1]
    rest = planned.where(Recipient.position > last.position, Recipient.account_id == last.account_id)
    # They are neighbours, but the planner cannot know: without a limit it would look at all that follow.
    near = rest.where(Recipient.position <= last.position + _ACCOUNT_MEMBERS_MAX)
    return [*chunk, *await _due(session, near.order_by(Recipient.position))]


async def _due(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> list[Due]:
    return [Due(*row) for row in await session.execute(query)]


_ACCOUNT_MEMBERS_MAX = 100


async def send_to_rest(session: AsyncSession, campaign: Campaign, winner: str) -> None:
    """Send the winning variant to those who waited for it. The campaign is locked, running or done."""
    statement = (
        update(Recipient)
        .where(Recipient.plan_id == campaign.plan_id, Recipient.variant == "rest", Recipient.state == "held")
        .values(state="planned")
    )
    await session.execute(statement, execution_options={"synchronize_session": False})
    campaign.winner, campaign.state, campaign.finished_at = winner, "running", None
    await _next(session, campaign, run_at=None)
