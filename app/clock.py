"""The time of day. Rules take `now` as an argument; only the processes' roots look at this clock."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]  # seconds; a benchmark's own clock has its own


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)
