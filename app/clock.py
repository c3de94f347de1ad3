"""The time of day. Rules take `now` as an argument; only the processes' roots look at this clock."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones

Clock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]  # seconds; a benchmark's own clock has its own


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


@cache
def time_zones() -> frozenset[str]:
    """Every IANA time zone this machine knows. Looking takes 10 ms: it reads two folders."""
    return frozenset(available_timezones())
