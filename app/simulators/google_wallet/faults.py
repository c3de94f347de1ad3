"""What goes wrong on purpose: the quota of requests, and answers that are lost, late or never come."""

import random
from dataclasses import dataclass
from datetime import datetime

from app.simulators.google_wallet.answers import Refused


@dataclass
class Faults:
    """Shares of the requests, 0.0 to 1.0, drawn with a generator of their own."""

    busy: float = 0.0  # answered 429, with nothing done
    lost: float = 0.0  # done, and then answered 503
    lost_at: str = ""  # only where the path ends so: "addMessage"
    reset: float = 0.0  # the connection ends without an answer, done or not: one half each
    slow_seconds: float = 0.0  # before every answer
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  no secret

    def happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


class Quota:
    """So many requests in any second; beyond it 429. A request in a batch counts like one alone."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._spare = per_second
        self._at: datetime | None = None
        self.refused = 0

    def take(self, now: datetime) -> None:
        """Count one request. Raises Refused."""
        passed = (now - self._at).total_seconds() if self._at else 0.0
        self._at = now
        self._spare = min(self._per_second, self._spare + passed * self._per_second)
        if self._spare < 1:
            self.refused += 1
            raise Refused(429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")
        self._spare -= 1
