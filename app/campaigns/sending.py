"""The last look before a campaign's SMS or e-mail goes out: since the plan, its reader may have said no."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.consent import reachable
from app.campaigns.delivery import PURPOSE
from app.campaigns.models import Campaign, Recipient
from app.members.models import Message


async def refusal(session: AsyncSession, message: Message) -> str | None:
    """Why a message must not be sent; None: it may. Other messages than campaigns' are not looked at."""
    if message.purpose != PURPOSE or message.member_id is None:
        return None
    state = await session.scalar(
        select(Campaign.state)
        .join(Recipient, Recipient.campaign_id == Campaign.id)
        .where(Recipient.message_id == message.id)
    )
    if state == "stopped":
        return "the campaign was stopped"
    _, by_channel = await reachable(session, message.program_id, [message.member_id])
    may = message.member_id in by_channel[message.channel]
    return None if may else "the member may not be written to on this channel"
