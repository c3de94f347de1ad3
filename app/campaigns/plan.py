"""The plan of a campaign: exactly what would happen, frozen, counted and hashed before anybody agrees."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import drafts, segments
from app.campaigns.announcing import tell_state
from app.campaigns.definition import Definition, InvalidDefinition
from app.campaigns.forecast import totals_of
from app.campaigns.models import Campaign, Plan, Recipient
from app.campaigns.recipients import Freezing, freeze, zones_of
from app.campaigns.schedule import check_not_past, due_at
from app.campaigns.wording import used_names
from app.clock import time_zones
from app.db import new_id
from app.members.models import Member, Program
from app.passes.models import Pass

VALID_FOR = timedelta(hours=48)  # what members own changes: an older plan is made anew
Fingerprints = Mapping[str, str]  # of the pass templates there are, by name


class EmptyAudience(Exception):
    """The campaign would reach nobody."""


class UnknownTemplate(Exception):
    """Passes of the audience use a template that is not there."""


async def make(
    session: AsyncSession,
    campaign: Campaign,
    fingerprints: Fingerprints,
    *,
    by: str,
    among: ColumnElement[bool] | None = None,
    now: datetime,
) -> Plan:
    """Freeze what the campaign would do now; the campaign is "planned" by it.

    `among`, over Member, narrows the audience: a rule's, a follow-up's.

    The campaign is locked by the caller. Raises InvalidDefinition, InvalidCondition, UnknownSegment,
    EmptyAudience, UnknownTemplate; then the caller's transaction must be rolled back.
    """
    program = await session.get_one(Program, campaign.program_id)
    definition = await drafts.checked(session, program.id, campaign.definition)
    names = used_names(definition, await drafts.known_names(session, program.id))
    freezing = Freezing(new_id("pln"), campaign.id, program, definition, secrets.token_hex(8), names, now)
    audience = await _audience(session, program, definition, now=now)
    if among is not None:
        audience = audience & among
    zones = [zone for zone in await zones_of(session, freezing, audience) if zone in time_zones()]
    check_not_past(definition, zones, now=now)

    await freeze(session, freezing, audience, zones=set(zones))
    await _check_translations(session, freezing)
    templates = await _templates(session, program.id, fingerprints)
    totals = await totals_of(session, freezing)
    if not totals["planned"]:
        raise EmptyAudience(_why_empty(totals))
    plan = Plan(
        id=freezing.plan_id,
        program_id=program.id,
        campaign_id=campaign.id,
        hash="",
        seed=freezing.seed,
        definition=campaign.definition,
        templates=templates,
        zones={zone: _iso(due_at(definition, zone)) for zone in zones},
        totals=totals,
        recipients=totals["recipients"],
        created_by=by,
        created_at=now,
        expires_at=now + VALID_FOR,
    )
    plan.hash = hash_of(plan)
    session.add(plan)
    campaign.plan_id, campaign.state, campaign.reason = plan.id, "planned", ""
    campaign.done = campaign.skipped = 0
    await session.flush()
    await tell_state(session, campaign, now=now)
    return plan


def hash_of(plan: Plan) -> str:
    """What an approval names. The audience stands in it by the plan's id: its rows are written once."""
    facts = [plan.id, plan.seed, plan.definition, plan.templates, plan.zones, plan.totals, plan.recipients]
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def _audience(
    session: AsyncSession, program: Program, definition: Definition, *, now: datetime
) -> ColumnElement[bool]:
    if definition.segment_id is None:
        return await segments.condition_sql(session, program, definition.condition or {}, now=now)
    segment = await segments.by_id(session, program.id, definition.segment_id)
    return await segments.segment_sql(session, program, segment, now=now)


async def _check_translations(session: AsyncSession, freezing: Freezing) -> None:
    """Raises InvalidDefinition where members speak a language that no text does."""
    query = (
        select(Member.language, func.count())
        .join(Recipient, Recipient.member_id == Member.id)
        .where(Recipient.plan_id == freezing.plan_id, Recipient.language == "")
        .group_by(Member.language)
    )
    missing = (await session.execute(query)).all()
    if missing:
        who = ", ".join(f"{count} members read {language}" for language, count in sorted(missing)[:5])
        raise InvalidDefinition("/texts", f"{who}: write the text in it, or give a default_language")


async def _templates(session: AsyncSession, program_id: str, fingerprints: Fingerprints) -> dict[str, str]:
    used = await session.scalars(
        select(Pass.template).where(Pass.program_id == program_id, Pass.state == "active").distinct()
    )
    names = sorted(used)
    if missing := [name for name in names if name not in fingerprints]:
        raise UnknownTemplate(f"there is no pass template {', '.join(missing)}: bring its folder back")
    return {name: fingerprints[name] for name in names}


def _why_empty(totals: Mapping[str, Any]) -> str:
    if not totals["recipients"]:
        return "nobody is in this audience: look at its count"
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(totals["left_out"].items()))
    return f"nobody of {totals['recipients']} would be told anything ({reasons})"


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
