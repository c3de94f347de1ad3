"""Planning campaigns and carrying them out, a chunk at a time. Nothing here calls out: pushes and SMS are
jobs of their own."""

from collections.abc import Mapping

import structlog
from sqlalchemy import select

from app.campaigns import plan, run
from app.campaigns.approval import PlanExpired
from app.campaigns.conditions import InvalidCondition
from app.campaigns.definition import InvalidDefinition
from app.campaigns.models import Campaign
from app.campaigns.segments import UnknownSegment
from app.db import locked
from app.job_queue import JsonScalar
from app.wallets.templates.fingerprint import fingerprint
from app.wiring import Services

log = structlog.get_logger(__name__)

_REFUSALS = (
    InvalidDefinition,
    InvalidCondition,
    UnknownSegment,
    PlanExpired,
    plan.EmptyAudience,
    plan.UnknownTemplate,
)


async def plan_campaign(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Make the plan that was asked for; what stands in its way is kept for the marketer, and no plan."""
    campaign_id, step = str(args["campaign_id"]), int(args["step"] or 0)
    fingerprints = fingerprints_of(services)
    now = services.clock()
    try:
        async with services.sessions.begin() as session:
            campaign = await locked(session, select(Campaign).where(Campaign.id == campaign_id))
            if campaign.state != "planning" or campaign.step != step:
                return
            await plan.make(session, campaign, fingerprints, by=str(args["by"]), now=now)
    except _REFUSALS as refusal:
        log.info("campaign.not_planned", campaign=campaign_id, reason=type(refusal).__name__)
        await _end(services, campaign_id, step, state="draft", reason=str(refusal))


async def run_campaign(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Do one chunk."""
    fingerprints = fingerprints_of(services)
    async with services.sessions.begin() as session:
        await run.go_on(
            session, str(args["campaign_id"]), int(args["step"] or 0), fingerprints, now=services.clock()
        )


async def give_up(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Nobody tries any more: a campaign that failed again and again is paused for a person to look at."""
    campaign_id, step = str(args["campaign_id"]), int(args["step"] or 0)
    log.error("campaign.given_up", campaign=campaign_id)
    reason = "it failed again and again: see the log, then resume it"
    await _end(services, campaign_id, step, state="paused", reason=reason)


async def give_up_planning(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """The plan could not be made."""
    campaign_id, step = str(args["campaign_id"]), int(args["step"] or 0)
    log.error("campaign.planning_given_up", campaign=campaign_id)
    await _end(services, campaign_id, step, state="draft", reason="planning failed: see the log")


async def _end(services: Services, campaign_id: str, step: int, *, state: str, reason: str) -> None:
    async with services.sessions.begin() as session:
        campaign = await locked(session, select(Campaign).where(Campaign.id == campaign_id))
        if campaign.step == step:
            campaign.state, campaign.reason = state, reason[:512]


def fingerprints_of(services: Services) -> dict[str, str]:
    """The pass templates as they are now, each by a digest of all it shows."""
    return {name: fingerprint(template) for name, template in services.templates.items()}
