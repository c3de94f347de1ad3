"""Campaigns as marketers draft them: kept, changed, and checked against what the programme has."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import conditions, segments
from app.campaigns.definition import Definition, InvalidDefinition, parse
from app.campaigns.fields import ANSWER, fields_of
from app.campaigns.models import Campaign
from app.campaigns.wording import names_of, used_names
from app.db import locked, new_id


class UnknownCampaign(Exception):
    """No campaign of this programme has this id."""


class CampaignState(Exception):
    """The campaign is at a stage at which this cannot be done."""


async def by_id(session: AsyncSession, program_id: str, campaign_id: str) -> Campaign:
    """The campaign with this id. Raises UnknownCampaign."""
    query = select(Campaign).where(Campaign.id == campaign_id, Campaign.program_id == program_id)
    if (found := await session.scalar(query)) is None:
        raise UnknownCampaign(f"no campaign {campaign_id}")
    return found


async def to_change(session: AsyncSession, program_id: str, campaign_id: str, *states: str) -> Campaign:
    """The campaign, locked, in one of these states. Raises UnknownCampaign, CampaignState."""
    await by_id(session, program_id, campaign_id)
    campaign = await locked(session, select(Campaign).where(Campaign.id == campaign_id))
    if campaign.state not in states:
        raise CampaignState(f"the campaign is {campaign.state}: this needs one that is {' or '.join(states)}")
    return campaign


async def create(
    session: AsyncSession,
    program_id: str,
    *,
    name: str,
    definition: Mapping[str, Any],
    by: str,
    now: datetime,
) -> Campaign:
    """A new draft. Raises InvalidDefinition, InvalidCondition, UnknownSegment."""
    await checked(session, program_id, definition)
    campaign = Campaign(
        id=new_id("cmp"),
        program_id=program_id,
        name=name,
        state="draft",
        definition=dict(definition),
        created_by=by,
        created_at=now,
    )
    session.add(campaign)
    await session.flush()
    return campaign


async def change(
    session: AsyncSession, campaign: Campaign, *, name: str | None, definition: Mapping[str, Any] | None
) -> Campaign:
    """Change a draft, or a planned campaign, which is a draft again then. Raises as `create` does."""
    if definition is not None:
        await checked(session, campaign.program_id, definition)
        campaign.definition, campaign.plan_id, campaign.state = dict(definition), None, "draft"
    campaign.name = name or campaign.name
    await session.flush()
    return campaign


async def checked(session: AsyncSession, program_id: str, definition: Mapping[str, Any]) -> Definition:
    """The definition, with the audience and the names it uses known to the programme.

    Raises InvalidDefinition, InvalidCondition, UnknownSegment.
    """
    parsed = parse(definition)
    if parsed.segment_id is not None:
        await segments.by_id(session, program_id, parsed.segment_id)
    else:
        conditions.parse(parsed.condition, await fields_of(session, program_id))
    used_names(parsed, await known_names(session, program_id))
    if not parsed.languages:
        raise InvalidDefinition("/texts", "no language has every text: translate them alike")
    if parsed.default_language is not None and parsed.default_language not in parsed.languages:
        raise InvalidDefinition(
            "/default_language", f"not every text is written in {parsed.default_language}: add it"
        )
    return parsed


async def known_names(session: AsyncSession, program_id: str) -> frozenset[str]:
    """What texts of this programme may name."""
    fields = await fields_of(session, program_id)
    return names_of(name.removeprefix(ANSWER) for name in fields if name.startswith(ANSWER))
