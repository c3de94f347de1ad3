"""How often and how late a failed job is tried again."""

import random
from dataclasses import dataclass

from app.errors import TemporaryFailure

RETRY_AFTER_SECONDS_MAX = 86_400.0  # a service that asks for more than a day is not believed


@dataclass(frozen=True)
class Retry:
    """Waits double from the first to the longest; after `attempts_max` runs the job is held for a person.

    The default gives up after about three hours.
    """

    attempts_max: int = 12
    first_wait_seconds: float = 10.0
    longest_wait_seconds: float = 1800.0

    def wait_seconds(self, failed_attempts: int, error: Exception) -> float:
        """How long to wait after so many failed attempts (1, 2, 3 ...).

        Jittered between half and all of the doubled wait, so that the jobs an outage failed together do not
        come back together. Never sooner than a TemporaryFailure's `retry_after_seconds`.
        """
        doublings = min(failed_attempts - 1, 64)  # two to the power of thousands is no float
        wait = min(self.first_wait_seconds * 2.0**doublings, self.longest_wait_seconds)
        jittered = wait * random.uniform(0.5, 1.0)  # noqa: S311  no secret
        if not isinstance(error, TemporaryFailure) or error.retry_after_seconds is None:
            return jittered
        asked = min(error.retry_after_seconds, RETRY_AFTER_SECONDS_MAX)
        return max(jittered, asked * random.uniform(1.0, 1.1))  # noqa: S311
