"""Points a source adds, takes or lets a person spend."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import PointsMoved
from app.inbox import persons, reading
from app.inbox.models import Source
from app.inbox.reasons import CannotApply
from app.members.models import Program
from app.points import ledger

REASON_LENGTH_MAX = 256


async def move(
    session: AsyncSession, program: Program, source: Source, event: PointsMoved, *, now: datetime
) -> str | None:
    """Post the movement; the id of its entry, the first one's when it was reported before.

    Raises CannotApply and what the ledger raises.
    """
    points = reading.points(event.points)
    if points == 0 or (event.spent and points > 0):
        raise CannotApply("bad_points", points=event.points)
    found = await persons.find(session, program, source, event.person)
    post, size = _posting(points, is_spent=event.spent)
    posted = await post(
        session,
        found.account_id,
        size,
        reason=event.reason[:REASON_LENGTH_MAX],
        source=source.key,
        source_event=event.reference,
        member_id=found.member.id if found.member else None,
        program_id=program.id,
        now=now,
    )
    return posted.entry.id


def _posting(points: int, *, is_spent: bool) -> tuple[Callable[..., Awaitable[ledger.Posted]], int]:
    """The ledger's function for such a movement, and the number it takes."""
    if is_spent:
        return ledger.redeem, -points
    return (ledger.earn, points) if points > 0 else (ledger.adjust, points)
