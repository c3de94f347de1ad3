"""The two ways an outside service can fail, as the rest of the program sees them.

Adapters turn every library error into one of these; the job handlers know only these.
"""


class TemporaryFailure(Exception):
    """Trying again later may work: timeout, 429, 5xx, connection refused.

    `retry_after_seconds` is what the service asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PermanentFailure(Exception):
    """Trying again cannot work: rejected credentials, unknown id, malformed request."""
