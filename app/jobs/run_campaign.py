"""Planning campaigns and carrying them out, a chunk at a time. Nothing here calls out: pushes and SMS are
jobs of their own."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
from sqlalchemy import select

from app.campaigns import follow_ups, plan, rules, run
from app.campaigns.announcing import tell_state
from app.campaigns.approval import PlanExpired
from app.campaigns.conditions import InvalidCondition
from app.campaigns.definition import InvalidDefinition
from app.campaigns.models import Campaign, Rule
from app.campaigns.segments import UnknownSegment
from app.db import locked
from app.job_queue import JsonScalar, enqueue_many, kinds
from app.wallets.templates.fingerprint import fingerprints
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
    now = services.clock()
    try:
        async with services.sessions.begin() as session:
            campaign = await locked(session, select(Campaign).where(Campaign.id == campaign_id))
            if campaign.state != "planning" or campaign.step != step:
                return
            await plan.make(session, campaign, fingerprints(services.templates), by=str(args["by"]), now=now)
    except _REFUSALS as refusal:
        log.info("campaign.not_planned", campaign=campaign_id, reason=type(refusal).__name__)
        await _end(services, campaign_id, step, state="draft", reason=str(refusal))


async def run_campaign(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Do one chunk."""
    async with services.sessions.begin() as session:
        await run.go_on(
            session,
            str(args["campaign_id"]),
            int(args["step"] or 0),
            fingerprints(services.templates),
            now=services.clock(),
        )


async def follow_campaign(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Begin a campaign's follow-up. Where everybody has done it, there is nothing to follow up."""
    await _start(services, partial(follow_ups.begin, campaign_id=str(args["campaign_id"])))


async def ask_for_rules(services: Services) -> None:
    """Every quarter of an hour: a job for each active rule, unless one waits."""
    async with services.sessions.begin() as session:
        active = (await session.scalars(select(Rule.id).where(Rule.is_active).order_by(Rule.id))).all()
        jobs = [{"rule_id": rule_id} for rule_id in active]
        await enqueue_many(session, kinds.FIRE_RULE, jobs, priority=kinds.BULK)


async def fire_rule(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Start the campaign to those whose time it is. Doing it twice takes nobody up twice."""
    await _start(services, partial(rules.fire, rule_id=str(args["rule_id"])))


async def _start(services: Services, begin: Callable[..., Awaitable[Campaign | None]]) -> None:
    """Begin a campaign by itself; what stands in the way is logged, and nothing is kept of it."""
    try:
        async with services.sessions.begin() as session:
            started = await begin(
                session, fingerprints=fingerprints(services.templates), now=services.clock()
            )
    except plan.EmptyAudience:
        return
    except _REFUSALS as refusal:
        log.warning("campaign.not_started", reason=str(refusal))
        return
    if started is not None:
        log.info("campaign.started", campaign=started.id)


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
            if state == "paused":
                await tell_state(session, campaign, now=services.clock())
