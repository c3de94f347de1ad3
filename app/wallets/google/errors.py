"""What Google's refusals mean for us: by status and reason together, never by the status alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from app.errors import PermanentFailure, TemporaryFailure

_REASON_LENGTH_MAX = 300
_TOO_FAST = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_QUOTA = frozenset({"quotaExceeded", "QuotaExceededException"})


class TooFast(TemporaryFailure):
    """Over the quota of requests: nothing was done, and we must slow down."""


class IssuerRefused(PermanentFailure):
    """Our credentials, or what they may do. Every further call would be refused too."""


class NotAccepted(PermanentFailure):
    """Google cannot use this body: an invalid value, a picture it could not fetch."""


@dataclass(frozen=True)
class Answer:
    """One answer of the API. `reason` is Google's word for a refusal, `message` its sentence."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_over_quota(self) -> bool:
        """Too many ringing messages for this pass today: expected, and no failure.

        Documented as one status and seen as another: 403 quotaExceeded, 429 QuotaExceededException.
        """
        said = (self.reason, self.message.partition(":")[0])
        return self.status in (403, 429) and any(each in _QUOTA for each in said)

    @property
    def reason(self) -> str:
        return str(self._first.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self._first.get("message") or self._error.get("message", ""))[:_REASON_LENGTH_MAX]

    @property
    def _error(self) -> Mapping[str, Any]:
        error = self.body.get("error")
        return cast("Mapping[str, Any]", error) if isinstance(error, dict) else {}

    @property
    def _first(self) -> Mapping[str, Any]:
        errors = self._error.get("errors")
        if isinstance(errors, list) and errors and isinstance(errors[0], dict):
            return cast("Mapping[str, Any]", errors[0])
        return {}


def failure(answer: Answer) -> TemporaryFailure | PermanentFailure:
    """The failure to raise for an answer that no caller expects."""
    words = f"Google answered {answer.status} {answer.reason}: {answer.message}".rstrip(": ")
    if answer.status == 429 or (answer.status == 403 and answer.reason in _TOO_FAST):
        return TooFast(words)
    if answer.status >= 500:
        return TemporaryFailure(words)
    if answer.status in (401, 403):
        return IssuerRefused(words)
    return NotAccepted(words)
