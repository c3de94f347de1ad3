"""Rate limits that are exact over any number of processes: one row each, one statement each (GCRA).

`take` counts what may come; `reserve` gives turns to what we send ourselves, at a pace that adapts.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Double, String, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from app.db import Base
from app.sql import typed_text


class RateLimit(Base):
    """The theoretical arrival time (TAT) of the next event of one key, in seconds since 1970."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    arrival: Mapped[float] = mapped_column(Double)


class Pace(Base):
    """The turns of one outside service: the next free one, and how far it made us slow down."""

    __tablename__ = "paces"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    arrival: Mapped[float] = mapped_column(Double)  # seconds since 1970
    slowed_to: Mapped[float] = mapped_column(
        Double, default=0.0
    )  # a second, at `slowed_at`; rises since then
    slowed_at: Mapped[float] = mapped_column(Double, default=0.0)


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


RECOVERY_PER_SECOND = 0.5  # so fast a pace rises again after it was slowed down: one more turn in two seconds
SLOWER = 0.7
SLOWEST = 0.1  # of the full rate
_ONCE_IN_SECONDS = 1.0  # the refusals of one moment are one reason to slow down

_PACE_TYPES: dict[str, TypeEngine[Any]] = {
    "key": String(),
    "now": Double(),
    "rate": Double(),
    "ahead": Double(),
    "recovery": Double(),
    "slower": Double(),
    "slowest": Double(),
    "once": Double(),
}
_FREE = "CASE WHEN paces.arrival > :now THEN paces.arrival ELSE :now END"
_RISEN = "(paces.slowed_to + (:now - paces.slowed_at) * :recovery)"
_RATE = f"CASE WHEN {_RISEN} < :rate THEN {_RISEN} ELSE :rate END"
_RESERVE = typed_text(
    f"""INSERT INTO paces (key, arrival, slowed_to, slowed_at) VALUES (:key, :now + 1.0 / :rate, 0.0, 0.0)
    ON CONFLICT (key) DO UPDATE SET arrival = {_FREE} + 1.0 / ({_RATE})
      WHERE {_FREE} - :now <= :ahead
    RETURNING arrival - 1.0 / ({_RATE}) - :now AS wait""",  # noqa: S608  constants of this file
    _PACE_TYPES,
)
_SLOW_DOWN = typed_text(
    f"""UPDATE paces SET slowed_at = :now,
      slowed_to = CASE WHEN ({_RATE}) * :slower > :slowest THEN ({_RATE}) * :slower ELSE :slowest END
    WHERE key = :key AND slowed_at <= :now - :once""",  # noqa: S608  constants of this file
    _PACE_TYPES,
)


@dataclass(frozen=True)
class Turn:
    """Whether there is a turn, and the seconds until it; or until it is worth asking again."""

    is_granted: bool
    wait_seconds: float


async def reserve(
    session: AsyncSession, key: str, *, rate: float, ahead_seconds: float, now: datetime
) -> Turn:
    """The next free turn of this key, `rate` of them a second, unless it is more than so far ahead.

    Who may look further ahead goes first when turns are scarce. A turn that was granted is used up.
    """
    values = {
        "key": key,
        "now": now.timestamp(),
        "rate": rate,
        "ahead": ahead_seconds,
        "recovery": RECOVERY_PER_SECOND,
    }
    granted: float | None = await session.scalar(_RESERVE, values)
    if granted is not None:
        return Turn(True, max(0.0, granted))
    arrival = await session.scalar(select(Pace.arrival).where(Pace.key == key))
    return Turn(False, max(0.0, (arrival or 0.0) - now.timestamp() - ahead_seconds))


async def slow_down(session: AsyncSession, key: str, *, rate: float, now: datetime) -> None:
    """Take fewer turns for a while: the service said that these are too many."""
    values = {
        "key": key,
        "now": now.timestamp(),
        "rate": rate,
        "recovery": RECOVERY_PER_SECOND,
        "slower": SLOWER,
        "slowest": rate * SLOWEST,
        "once": _ONCE_IN_SECONDS,
    }
    await session.execute(_SLOW_DOWN, values)


def network_of(address: str, *, ipv4_bits: int = 24) -> str:
    """The /24 or /64 an address belongs to; what is not an address stands for itself, shortened.

    `ipv4_bits` 32 tells neighbours of an IPv4 network apart: an office has one, a line of IPv6 a /64.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, ipv4_bits if parsed.version == 4 else 64), strict=False))


def _span(limit: int, period_seconds: float) -> float:
    # A tolerance for the floating point sum of `limit` intervals.
    return period_seconds + period_seconds / limit * 1e-6
