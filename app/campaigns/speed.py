"""How fast a campaign may go: as fast as the workers tell phones, and the web processes answer them.

Every push makes a phone ask and fetch. So the pace doubles while answers are quick, is kept while they are
tolerable, and is halved when tills and other phones would feel it.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import answer_times
from app.campaigns.definition import Definition
from app.campaigns.models import Campaign
from app.passes.models import Update
from app.passes.versions import GOOGLE

PACE_FIRST = 2000  # recipients a second; one core of a web process serves about 900 phones
PACE_MIN, PACE_MAX = 20, 20_000
QUICK_SECONDS, SLOW_SECONDS = 0.15, 0.4  # for 95 % of the phones; tills are to be answered within a second
ADAPTED_EVERY = timedelta(seconds=1)  # the answers are measured once a second

CHUNK = 1000  # where one statement does for all of them: an eighth of a second
CHUNK_ONE_BY_ONE = 200  # where each has movements or a message of their own: a quarter of a second

# Passes changed and not yet told. What is beyond stays with the campaign, where it can be stopped.
BACKLOG_MAX = 8000
BACKLOG_WAIT = timedelta(seconds=0.1)
BACKLOG_COUNTS_FOR = timedelta(seconds=30)  # what waits longer is a phone out of reach, not our speed


async def is_behind(session: AsyncSession, program_id: str, *, now: datetime) -> bool:
    """Whether the workers still have as much to tell as they do in a moment.

    Google's objects do not count: they go at the rate Google allows, and would hold all iPhones to it.
    """
    waiting = (
        select(Update.pass_id)
        .where(
            Update.program_id == program_id,
            Update.wallet != GOOGLE,
            Update.wanted_version > Update.sent_version,
            Update.touched_at > now - BACKLOG_COUNTS_FOR,
            Update.touched_at <= now,  # what the budget defers waits on purpose
            Update.queued,
        )
        .limit(BACKLOG_MAX)
        .subquery()
    )
    return (await session.scalar(select(func.count()).select_from(waiting)) or 0) >= BACKLOG_MAX


async def adapt(session: AsyncSession, campaign: Campaign, *, now: datetime) -> None:
    """Set the campaign's pace by how fast phones were answered, at most once a second."""
    if campaign.paced_at is not None and now < campaign.paced_at + ADAPTED_EVERY:
        return
    campaign.pace = next_pace(campaign.pace, await answer_times.slowest(session, now=now))
    campaign.paced_at = now


def next_pace(pace: int, answered_in_seconds: float | None) -> int:
    """The pace after one look at the answers; None when no phone asked."""
    if answered_in_seconds is None or answered_in_seconds < QUICK_SECONDS:
        return min(PACE_MAX, pace * 2)
    if answered_in_seconds > SLOW_SECONDS:
        return max(PACE_MIN, pace // 2)
    return pace


def per_second(campaign: Campaign, definition: Definition) -> int:
    """Recipients a second: the present pace, or the speed asked for where that is lower."""
    return min(campaign.pace, definition.per_second or PACE_MAX)


def chunk_size(campaign: Campaign, definition: Definition) -> int:
    """How many recipients the next chunk has: half a second's at most."""
    gives_points = any(definition.points_of(arm.name) for arm in definition.arms)
    is_plain = definition.channel == "wallet" and definition.fallback is None and not gives_points
    return min(CHUNK if is_plain else CHUNK_ONE_BY_ONE, max(1, per_second(campaign, definition) // 2))


def wait_after(campaign: Campaign, definition: Definition, size: int) -> timedelta:
    """How long after the beginning of a chunk the next one may begin."""
    speed = per_second(campaign, definition)
    return timedelta(0) if speed >= PACE_MAX else timedelta(seconds=size / speed)
