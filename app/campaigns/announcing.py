"""Telling other systems where a campaign stands."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.models import Campaign
from app.webhooks.announce import announce


async def tell_state(session: AsyncSession, campaign: Campaign, *, now: datetime) -> None:
    """Announce the state that the campaign has just reached."""
    data = {
        "campaign_id": campaign.id,
        "name": campaign.name,
        "plan_id": campaign.plan_id,
        "done": campaign.done,
        "skipped": campaign.skipped,
        "reason": campaign.reason,
    }
    await announce(session, campaign.program_id, f"campaign.{campaign.state}", data, now=now)
