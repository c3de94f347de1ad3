"""A pause of the pushes to one service after it refused our credentials."""

from datetime import datetime, timedelta


class PushStop:
    """Pauses this process's pushes to a service that refused our credentials; the others go on."""

    PAUSE_SECONDS = 300.0

    def __init__(self) -> None:
        self._stopped: dict[str, tuple[str, datetime]] = {}  # why and until when, by service

    def stop(self, service: str, reason: str, now: datetime) -> float:
        """Stop pushing to a service ("apns"); for how many seconds."""
        self._stopped[service] = (reason, now + timedelta(seconds=self.PAUSE_SECONDS))
        return self.PAUSE_SECONDS

    def seconds_left(self, service: str, now: datetime) -> float:
        """How long pushes to a service are still stopped; 0.0 when they may go."""
        _, until = self._stopped.get(service, ("", now))
        return max(0.0, (until - now).total_seconds())

    def reasons(self, now: datetime) -> dict[str, str]:
        """Why pushes are stopped just now, by service."""
        return {service: reason for service, (reason, until) in self._stopped.items() if now < until}
