"""What a push service does for us, what it answers, and how it fails: the seam all of them share.

A push carries nothing: the device that gets one asks our web service what changed. So a push may
be repeated, but one that is lost leaves an old balance on a phone. Source: Apple, "Adding a Web
Service to Update Passes".
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from app.errors import PermanentFailure, TemporaryFailure

DEADLINE_SECONDS = 10.0


class PushOutcome(Enum):
    """What a push service answers when nothing is wrong with it or with us."""

    ACCEPTED = "accepted"
    DEVICE_GONE = "device_gone"


@dataclass(frozen=True, slots=True)
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


# What became of one push of many, by its token: an answer, or why there was none for now. Must not raise.
OnResult = Callable[[str, PushResult | TemporaryFailure | PermanentFailure], None]


class PassPusher(Protocol):
    """One push service, for one pass type."""

    async def notify_changed(self, push_token: str) -> PushResult:
        """Ask one device to fetch its changed passes.

        Ends within the pusher's deadline. Raises TemporaryFailure when the service cannot be
        reached or is busy, PushRejected when it refuses our credentials or our topic.
        """
        ...

    async def notify_many(self, push_tokens: Iterable[str], on_result: OnResult) -> None:
        """Ask many devices, read from `push_tokens` as fast as they are told; returns when all are.

        Raises PushRejected when the service refuses us, TemporaryFailure when it cannot be reached: the
        devices that `on_result` was not called for are still to be told.
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


def connection_failure(error: BaseException) -> TemporaryFailure | PushRejected:
    """A certificate that one side refuses needs a person; any other broken connection is tried again."""
    reason = (isinstance(error, ssl.SSLError) and error.reason) or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return PushRejected(
            f"APNs: the server's certificate is not trusted ({error.verify_message}): "
            "check the CA file, the system's authorities and any intercepting proxy",
            reason=reason,
        )
    if "ALERT" in reason and ("CERTIFICATE" in reason or reason.endswith(("UNKNOWN_CA", "ACCESS_DENIED"))):
        return PushRejected(
            f"APNs refuses the pass type certificate ({reason}): has it expired or been revoked?",
            reason=reason,
        )
    return TemporaryFailure(f"APNs: the connection failed ({error or type(error).__name__})")


async def notify_each(
    pusher: PassPusher, push_tokens: Iterable[str], on_result: OnResult, *, at_once: int
) -> None:
    """`notify_many` for a service that is asked one device at a time."""
    waiting = iter(push_tokens)
    unreached: list[TemporaryFailure | PushRejected] = []

    async def sender() -> None:
        for push_token in waiting:
            try:
                on_result(push_token, await pusher.notify_changed(push_token))
            except PushRejected as rejection:
                unreached.append(rejection)
            except (TemporaryFailure, PermanentFailure) as failure:
                on_result(push_token, failure)
            if unreached:
                return

    await asyncio.gather(*(sender() for _ in range(at_once)))
    if unreached:
        raise unreached[0]
