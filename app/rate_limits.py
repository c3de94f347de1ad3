"""Rate limits that are exact over any number of processes: one row each, one statement each (GCRA)."""

from datetime import datetime

from sqlalchemy import Double, String, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class RateLimit(Base):
    """The theoretical arrival time (TAT) of the next event of one key, in seconds since 1970."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    arrival: Mapped[float] = mapped_column(Double)


# The casts tell PostgreSQL the parameters' types, which it cannot infer from a sum of two of them.
_TAKE = text("""
    INSERT INTO rate_limits (key, arrival)
    VALUES (:key, CAST(:now AS double precision) + CAST(:interval AS double precision))
    ON CONFLICT (key) DO UPDATE
        SET arrival = CASE WHEN rate_limits.arrival > :now THEN rate_limits.arrival ELSE :now END + :interval
        WHERE CASE WHEN rate_limits.arrival > :now THEN rate_limits.arrival ELSE :now END
              + :interval - :now <= CAST(:period AS double precision)
    RETURNING arrival
""")


async def take(session: AsyncSession, key: str, *, limit: int, period_seconds: float, now: datetime) -> bool:
    """Count one event of `key`; False, with nothing counted, if that makes more than `limit` in the period.

    The count belongs to the caller's transaction: rolled back, the event never happened.
    """
    interval = period_seconds / limit
    parameters = {
        "key": key,
        "now": now.timestamp(),
        "interval": interval,
        "period": _span(limit, period_seconds),
    }
    return (await session.execute(_TAKE, parameters)).first() is not None


async def seconds_until_free(
    session: AsyncSession, key: str, *, limit: int, period_seconds: float, now: datetime
) -> float:
    """How long until `take` of this key counts one more; 0.0 when it would now."""
    arrival = await session.scalar(select(RateLimit.arrival).where(RateLimit.key == key))
    if arrival is None:
        return 0.0
    return max(0.0, arrival + period_seconds / limit - _span(limit, period_seconds) - now.timestamp())


async def forget_idle(session: AsyncSession, *, now: datetime) -> None:
    """Drop the keys that are as good as new: every address that ever knocked has left a row."""
    await session.execute(delete(RateLimit).where(RateLimit.arrival <= now.timestamp()))


def _span(limit: int, period_seconds: float) -> float:
    # A tolerance for the floating point sum of `limit` intervals.
    return period_seconds + period_seconds / limit * 1e-6
