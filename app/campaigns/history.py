"""What campaigns reached whom: asked by conditions, and by frequency caps."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.definition import Cap
from app.campaigns.models import Recipient


async def deliveries_of(session: AsyncSession, member_id: str) -> Sequence[tuple[str, datetime]]:
    """The campaigns that reached a member, and when."""
    rows = await session.execute(
        select(Recipient.campaign_id, Recipient.done_at).where(
            Recipient.member_id == member_id, Recipient.state == "done"
        )
    )
    return [(row.campaign_id, row.done_at) for row in rows if row.done_at is not None]


def reached(program_id: str, campaign_id: str | None, since: datetime | None) -> Select[str]:
    """The members a campaign (None: any) reached, as a query of ids."""
    query = select(Recipient.member_id).where(Recipient.program_id == program_id, Recipient.state == "done")
    if campaign_id is not None:
        query = query.where(Recipient.campaign_id == campaign_id)
    return query if since is None else query.where(Recipient.done_at >= since)


def full_of(program_id: str, cap: Cap, now: datetime) -> Select[str]:
    """The members who have had as many campaigns as the cap allows, as a query of ids."""
    recent = select(Recipient.member_id).where(
        Recipient.program_id == program_id,
        Recipient.state == "done",
        Recipient.route != "points",
        Recipient.done_at > now - timedelta(days=cap.days),
    )
    return recent.group_by(Recipient.member_id).having(func.count() >= cap.campaigns)
