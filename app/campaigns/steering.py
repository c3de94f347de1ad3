"""Pausing, resuming and stopping a campaign: the next chunk sees it, whichever worker does it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import approval, drafts, google_route
from app.campaigns.announcing import tell_state
from app.campaigns.definition import parse
from app.campaigns.drafts import CampaignState
from app.campaigns.models import Campaign, Plan
from app.campaigns.run import send_to_rest
from app.job_queue import enqueue, kinds


class UnknownVariant(Exception):
    """The campaign tests no variant of this name."""


async def ask_for_plan(session: AsyncSession, program_id: str, campaign_id: str, *, by: str) -> Campaign:
    """Have the campaign planned by a worker. Raises UnknownCampaign, CampaignState."""
    campaign = await drafts.to_change(session, program_id, campaign_id, "draft", "planning", "planned")
    campaign.state, campaign.reason = "planning", ""
    campaign.step += 1
    await session.flush()
    args = {"campaign_id": campaign.id, "step": campaign.step, "by": by}
    await enqueue(session, kinds.PLAN_CAMPAIGN, args, priority=kinds.MESSAGE)
    return campaign


async def pause(session: AsyncSession, program_id: str, campaign_id: str, *, now: datetime) -> Campaign:
    """Hold the campaign where it is; may be repeated. Raises UnknownCampaign, CampaignState."""
    campaign = await drafts.to_change(session, program_id, campaign_id, "approved", "running", "paused")
    was_paused, campaign.state = campaign.state == "paused", "paused"
    campaign.step += 1
    await session.flush()
    if not was_paused:
        await tell_state(session, campaign, now=now)
    return campaign


async def resume(session: AsyncSession, program_id: str, campaign_id: str, *, now: datetime) -> Campaign:
    """Let a paused campaign go on, with those who are left. Raises UnknownCampaign, CampaignState."""
    campaign = await drafts.to_change(session, program_id, campaign_id, "paused")
    # One that had not begun is looked at like new: its templates may have changed meanwhile.
    campaign.state = "approved" if campaign.started_at is None else "running"
    campaign.reason = ""
    campaign.step += 1
    await session.flush()
    plan = await session.get_one(Plan, campaign.plan_id)
    await approval.enqueue_step(
        session, campaign, run_at=approval.first_due(plan) if campaign.started_at is None else None
    )
    await tell_state(session, campaign, now=now)
    return campaign


async def stop(
    session: AsyncSession, program_id: str, campaign_id: str, *, reason: str, now: datetime
) -> Campaign:
    """End the campaign for good; who was told stays told. Raises UnknownCampaign, CampaignState."""
    campaign = await drafts.to_change(
        session, program_id, campaign_id, "planned", "approved", "running", "paused", "stopped"
    )
    if campaign.state != "stopped":
        campaign.state, campaign.reason, campaign.finished_at = "stopped", reason[:512], now
        campaign.step += 1
        await session.flush()
        await google_route.give_up(session, campaign, "the campaign was stopped", now=now)
        await tell_state(session, campaign, now=now)
    return campaign


async def choose_winner(session: AsyncSession, program_id: str, campaign_id: str, winner: str) -> Campaign:
    """Send this variant to those who waited. Raises UnknownCampaign, CampaignState, UnknownVariant."""
    campaign = await drafts.to_change(session, program_id, campaign_id, "running", "done")
    plan = await session.get_one(Plan, campaign.plan_id)
    names = [variant.name for variant in parse(plan.definition).variants]
    if winner not in names:
        there_are = ", ".join(names) or "none"
        raise UnknownVariant(f"there is no variant {winner}: there are {there_are}")
    if campaign.winner is not None:
        raise CampaignState(f"{campaign.winner} was chosen before: the rest has been told")
    await send_to_rest(session, campaign, winner)
    return campaign
