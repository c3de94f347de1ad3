"""A pause of all pushes after the push service refused our credentials."""

from datetime import datetime, timedelta


class PushStop:
    """Pauses all pushes of this process after the push service refused our credentials."""

    PAUSE_SECONDS = 300.0

    def __init__(self) -> None:
        self.reason: str | None = None
        self._until: datetime | None = None

    def stop(self, reason: str, now: datetime) -> float:
        """Stop; for how many seconds."""
        self.reason, self._until = reason, now + timedelta(seconds=self.PAUSE_SECONDS)
        return self.PAUSE_SECONDS

    def seconds_left(self, now: datetime) -> float:
        """How long pushes are still stopped; 0.0 when they may go."""
        if self._until is None or now >= self._until:
            self.reason = self._until = None
            return 0.0
        return (self._until - now).total_seconds()
