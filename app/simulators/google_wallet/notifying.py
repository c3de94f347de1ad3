"""When Google makes a phone ring: three messages and three field updates a day for each pass, and no more."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from app.simulators.google_wallet.answers import Body, Refused

PER_DAY = 3
DAY = timedelta(hours=24)
MESSAGES_MAX = 10

Cause = Literal["message", "field"]

# The fields whose change rings when "notifyPreference" asks for it; all others change in silence.
_RINGING = {
    "loyaltyObject": (("loyaltyPoints", "balance"), ("secondaryLoyaltyPoints", "balance")),
    "loyaltyClass": (("rewardsTier",), ("secondaryRewardsTier",), ("programName",)),
}


@dataclass(frozen=True)
class Notification:
    """What a phone's lock screen shows; the words are Google's, never the issuer's."""

    object_id: str
    cause: Cause
    title: str
    text: str
    at: datetime


class DailyQuota:
    """Counts what rang, by resource and cause, in the last 24 hours."""

    def __init__(self) -> None:
        self._rang: defaultdict[tuple[str, Cause], list[datetime]] = defaultdict(list)

    def is_free(self, resource_id: str, cause: Cause, now: datetime) -> bool:
        rang = self._rang[resource_id, cause]
        rang[:] = [at for at in rang if now - at < DAY]
        return len(rang) < PER_DAY

    def count(self, resource_id: str, cause: Cause, now: datetime) -> None:
        self._rang[resource_id, cause].append(now)


def rings_by_fields(kind: str, before: Body, after: Body) -> bool:
    """Whether a field changed that Google notifies of."""
    return any(_at(before, path) != _at(after, path) for path in _RINGING.get(kind, ()))


def added_messages(before: Body, after: Body) -> list[Body]:
    """The messages of a PATCH or PUT that were not there and ask to ring."""
    known = before.get("messages", [])
    return [each for each in after.get("messages", []) if each not in known and asks_to_ring(each)]


def asks_to_ring(message: Body) -> bool:
    return message.get("messageType") == "TEXT_AND_NOTIFY"


def over_quota(kind: str, issuer_id: str, resource_id: str) -> Refused:
    level = "class" if kind.endswith("Class") else "object"
    words = (
        f"Quota exceeded for issuer {issuer_id} when adding TEXT_AND_NOTIFY message to {level} {resource_id}."
    )
    return Refused(403, "quotaExceeded", words)


def _at(body: Body, path: Iterable[str]) -> Any:
    value: Any = body
    for key in path:
        value = cast("Body", value).get(key) if isinstance(value, dict) else None
    return value
