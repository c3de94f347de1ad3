"""How much REST a portal allows: a leaky bucket of requests, and the time each method has worked."""

from collections import defaultdict, deque
from dataclasses import dataclass

_WINDOW_SECONDS = 600.0  # method time is counted over ten minutes


@dataclass(frozen=True)
class Limits:
    """The usual plan's. A method call works `seconds_per_call` of the `operating_seconds` it may."""

    bucket: float = 50.0
    drains_per_second: float = 2.0
    operating_seconds: float = 480.0
    seconds_per_call: float = 0.02


UNLIMITED = Limits(bucket=1e9, drains_per_second=1e9, operating_seconds=1e9)


class Meter:
    """What was used up of the limits so far; `at` is in seconds, of whatever clock."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._level, self._seen_at = 0.0, 0.0
        self._worked: defaultdict[str, deque[tuple[float, float]]] = defaultdict(deque)

    def takes_request(self, at: float) -> bool:
        """Count one HTTP request; False when the bucket is full."""
        drained = max(0.0, at - self._seen_at) * self.limits.drains_per_second
        self._level, self._seen_at = max(0.0, self._level - drained), at
        if self._level + 1 > self.limits.bucket:
            return False
        self._level += 1
        return True

    def takes_call(self, method: str, at: float) -> bool:
        """Count one call of a method, in a batch or by itself; False when it has worked too long."""
        if self.operating(method, at) >= self.limits.operating_seconds:
            return False
        self._worked[method].append((at, self.limits.seconds_per_call))
        return True

    def operating(self, method: str, at: float) -> float:
        """How many seconds the method has worked in the last ten minutes."""
        calls = self._worked[method]
        while calls and calls[0][0] <= at - _WINDOW_SECONDS:
            calls.popleft()
        return sum(seconds for _, seconds in calls)

    def resets_at(self, method: str, at: float) -> float:
        """When its oldest call of these ten minutes is forgotten."""
        calls = self._worked[method]
        return (calls[0][0] if calls else at) + _WINDOW_SECONDS
