"""What a push service does for us, what it answers, and how it fails: the seam all of them share.

A push carries nothing: the device that gets one asks our web service what changed. So a push may
be repeated, but one that is lost leaves an old balance on a phone. Source: Apple, "Adding a Web
Service to Update Passes".
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from app.errors import PermanentFailure, TemporaryFailure

DEADLINE_SECONDS = 10.0


class PushOutcome(Enum):
    """What a push service answers when nothing is wrong with it or with us."""

    ACCEPTED = "accepted"
    DEVICE_GONE = "device_gone"


@dataclass(frozen=True)
class PushResult:
    """The answer for one device.

    `apns_id` is the UUID under which the push service took the push, where it gives one; `reason`
    is the service's own word for a device that is gone, such as "Unregistered".
    """

    outcome: PushOutcome
    apns_id: str | None = None
    reason: str | None = None


class PushRejected(PermanentFailure):
    """The service refuses us, not the device: stop sending and raise the alarm.

    `reason` is a code such as "ExpiredProviderToken", "BadCertificate" or "TopicDisallowed".
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class PassPusher(Protocol):
    """One push service, for one pass type."""

    async def notify_changed(self, push_token: str) -> PushResult:
        """Ask one device to fetch its changed passes.

        Ends within the pusher's deadline. Raises TemporaryFailure when the service cannot be
        reached or is busy, PushRejected when it refuses our credentials or our topic.
        """
        ...

    async def close(self) -> None:
        """Give back the connections. Sends under way end as TemporaryFailure."""
        ...


class ApplePush(PassPusher, Protocol):
    """Apple's push service. `push_token` is hexadecimal, as the device registered it."""


_APNS_TOKEN = re.compile(r"[0-9A-Fa-f]{1,200}")


def is_apns_token(push_token: str) -> bool:
    """Whether a token a device sent can be put into APNs' path: hexadecimal and nothing else."""
    return _APNS_TOKEN.fullmatch(push_token) is not None


# APNs table of reasons, developer.apple.com/documentation/usernotifications/handling-notification-responses
GONE_REASONS = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "ExpiredToken", "Unregistered"})
BUSY_REASONS = frozenset({"IdleTimeout"})  # the one 400 that is about the connection, not the request
WAIT_SECONDS = {
    "TooManyRequests": 30.0,  # for this one device
    "TooManyProviderTokenUpdates": 20 * 60.0,  # Apple takes a new token every 20 minutes at most
}


def read_apns_answer(status: int, reason: str | None, *, apns_id: str) -> PushResult:
    """What an answer of APNs means. Raises TemporaryFailure or PushRejected as `notify_changed` does."""
    if status == 200:
        return PushResult(PushOutcome.ACCEPTED, apns_id)
    if status == 410 or (status == 400 and reason in GONE_REASONS):
        return PushResult(PushOutcome.DEVICE_GONE, apns_id, reason)

    message = f"APNs answered {status} {reason or 'without a reason'}"
    if 400 <= status < 500 and status != 429 and reason not in BUSY_REASONS:
        raise PushRejected(message, reason=reason or f"HTTP {status}")
    raise TemporaryFailure(message, retry_after_seconds=WAIT_SECONDS.get(reason or ""))
