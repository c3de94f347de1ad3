"""Agreeing to a plan: to exactly this one, by its hash, while it is fresh; large ones by a second person."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.announcing import tell_state
from app.campaigns.models import Approval, Campaign, Plan
from app.campaigns.plan import Fingerprints
from app.campaigns.schedule import GRACE
from app.job_queue import enqueue, kinds


class PlanChanged(Exception):
    """The approval names another plan than the campaign has now."""


class PlanExpired(Exception):
    """The plan is too old to be agreed to, or its time has passed."""


class SecondPersonNeeded(Exception):
    """So large an audience needs the word of somebody who did not make the plan."""


class TemplateChanged(Exception):
    """A pass template is not what it was when the plan was made."""


async def approve(
    session: AsyncSession,
    campaign: Campaign,
    fingerprints: Fingerprints,
    *,
    plan_hash: str,
    by: str,
    second_person_above: int,
    now: datetime,
) -> Plan:
    """Agree to the campaign's plan; it runs at its time. The campaign is locked and "planned".

    Raises PlanChanged, PlanExpired, TemplateChanged, SecondPersonNeeded, with nothing changed.
    """
    plan = await session.get_one(Plan, campaign.plan_id)
    if plan.hash != plan_hash:
        raise PlanChanged("this is not the hash of the newest plan: read the plan again")
    check_fresh(plan, now=now)
    check_templates(plan.templates, fingerprints)
    if plan.recipients > second_person_above and by == plan.created_by:
        raise SecondPersonNeeded(
            f"{plan.recipients} recipients: above {second_person_above} another API key approves "
            "than the one that planned"
        )
    session.add(Approval(plan_id=plan.id, approved_by=by, program_id=plan.program_id, at=now))
    campaign.state = "approved"
    campaign.step += 1
    await session.flush()
    await enqueue_step(session, campaign, run_at=first_due(plan))
    await tell_state(session, campaign, now=now)
    return plan


async def enqueue_step(session: AsyncSession, campaign: Campaign, *, run_at: datetime | None) -> None:
    """Have the campaign go on, at once or at a time. Only the job of its newest step does."""
    args = {"campaign_id": campaign.id, "step": campaign.step}
    await enqueue(session, kinds.RUN_CAMPAIGN, args, priority=kinds.BULK, run_at=run_at)


def first_due(plan: Plan) -> datetime | None:
    """When the first members are due; None: at once."""
    times = [datetime.fromisoformat(at) for at in plan.zones.values() if at is not None]
    return min(times, default=None)


def check_fresh(plan: Plan, *, now: datetime) -> None:
    """Raises PlanExpired."""
    if now >= plan.expires_at:
        raise PlanExpired(f"the plan was good until {plan.expires_at:%Y-%m-%d %H:%M} UTC: plan again")
    due = first_due(plan)
    if due is not None and due < now - GRACE:
        raise PlanExpired(f"it was to be sent at {due:%Y-%m-%d %H:%M %Z}: choose another time and plan again")


def check_templates(planned: Mapping[str, str], fingerprints: Fingerprints) -> None:
    """Raises TemplateChanged."""
    changed = sorted(name for name, print_ in planned.items() if fingerprints.get(name) != print_)
    if changed:
        raise TemplateChanged(
            f"pass template {', '.join(changed)} has changed since the plan was made: plan again"
        )
