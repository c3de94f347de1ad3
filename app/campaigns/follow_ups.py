"""Cascades: those who have not done something hear of it again, another way, a while later.

A follow-up is a campaign of its own. Its words stand in the first campaign's definition, so whoever
approved that plan has approved it too.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import approval, plan, results
from app.campaigns.definition import Definition, parse
from app.campaigns.models import Campaign, Plan, Recipient
from app.campaigns.plan import Fingerprints
from app.db import locked, new_id
from app.job_queue import enqueue, kinds
from app.members.models import Member

NOBODY_TOO_MANY = 2**62  # the first campaign's approval counted everybody who may hear of this


async def enqueue_next(
    session: AsyncSession, campaign: Campaign, definition: Definition, *, now: datetime
) -> None:
    """Have the first follow-up begin at its time, if the campaign has one."""
    if definition.follow_ups:
        after = timedelta(minutes=definition.follow_ups[0].after_minutes)
        args = {"campaign_id": campaign.id}
        await enqueue(session, kinds.FOLLOW_CAMPAIGN, args, priority=kinds.BULK, run_at=now + after)


async def begin(
    session: AsyncSession, campaign_id: str, fingerprints: Fingerprints, *, now: datetime
) -> Campaign | None:
    """Plan and start the follow-up of a campaign that is done. Once: repeating finds it begun (None).

    Raises EmptyAudience where everybody has done it, and what `plan.make` raises.
    """
    parent = await locked(session, select(Campaign).where(Campaign.id == campaign_id))
    begun = await session.scalar(select(Campaign.id).where(Campaign.parent_id == parent.id))
    if parent.state != "done" or begun is not None:
        return None
    parents_plan = await session.get_one(Plan, parent.plan_id)
    definition = parse(parents_plan.definition)
    child = Campaign(
        id=new_id("cmp"),
        program_id=parent.program_id,
        name=parent.name,
        state="draft",
        definition=_definition(definition),
        parent_id=parent.id,
        rule_id=parent.rule_id,
        created_by=parent.created_by,
        created_at=now,
    )
    session.add(child)
    await session.flush()
    among = Member.id.in_(_still_to_tell(parent, parents_plan, definition.follow_ups[0].unless, now))
    made = await plan.make(session, child, fingerprints, by=parent.created_by, among=among, now=now)
    await approval.approve(
        session,
        child,
        fingerprints,
        plan_hash=made.hash,
        by=parent.created_by,
        second_person_above=NOBODY_TOO_MANY,
        now=now,
    )
    return child


def _definition(first: Definition) -> dict[str, Any]:
    """The follow-up as a definition of its own, with those that come after it."""
    mine, *later = first.follow_ups
    kept = first.model_dump(
        mode="json", include={"default_language", "zone", "quiet_hours", "per_second", "window_days"}
    )
    return {
        **{name: value for name, value in kept.items() if value is not None},
        "condition": {"all": []},
        "channel": mine.channel,
        "texts": mine.texts,
        "subjects": mine.subjects,
        "points": mine.points,
        "follow_ups": [each.model_dump(mode="json") for each in later],
    }


def _still_to_tell(parent: Campaign, made: Plan, unless: str, now: datetime) -> Any:
    """The members the campaign told, and whom no evidence shows to have done it."""
    proven = results.proofs(parent, made, now=now)
    done = proven.c[unless] == 1
    if unless == "fetched":  # no phone fetches from us for Google Wallet: there it is what Google took
        done |= (Recipient.wallet == "google") & (proven.c.accepted == 1)
    return (
        select(Recipient.member_id)
        .join(proven, proven.c.position == Recipient.position)
        .where(Recipient.plan_id == made.id, Recipient.state == "done", ~done)
    )
