"""A push under way, what may come of it, and who hears of that."""

from dataclasses import dataclass, field
from typing import Protocol

from app.errors import TemporaryFailure
from app.wallets.apple.pusher import PushRejected, PushResult


class PushOwner(Protocol):
    """Whoever asked for a push."""

    is_patient: bool  # a busy APNs is asked again here; else the owner sees to that

    @property
    def is_over(self) -> bool:
        """Nobody waits any more."""
        ...

    def end(self, push: "Push", ended: PushResult | TemporaryFailure | PushRejected) -> None:
        """What became of a push; called once for each."""
        ...


@dataclass(eq=False, slots=True)
class Push:
    """One push under way."""

    push_token: str = field(repr=False)
    owner: PushOwner = field(repr=False)
    tries: int = 0  # that came to nothing
    sent_at: float = 0.0  # the last time, by the event loop's clock


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not simply "accepted"."""

    push: Push
    apns_id: str
    status: int
    body: bytes = b""
