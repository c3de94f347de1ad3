"""Sending one SMS: the words every provider shares.

A provider turns an `Sms` into a `SendResult` or says which of three things happened instead: surely not
accepted and worth another try (`TemporaryFailure`), surely not accepted and not worth one
(`PermanentFailure`), or nobody knows (`OutcomeUnknown`). An SMS costs money and annoys when it comes
twice, so an unknown outcome is asked about with `find`, or left to a person; it is never sent again blindly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

ReceiptState = Literal["sent", "delivered", "failed"]


@dataclass(frozen=True)
class Sms:
    """One text for one phone.

    `recipient` is E.164 such as "+77011234567". `client_id` is our message id: up to 40 letters,
    digits, ".", "_" or "-". `sender` is a registered sender name; None means the provider's default.
    """

    recipient: str
    text: str
    client_id: str
    sender: str | None = None


@dataclass(frozen=True)
class SendResult:
    """The provider took the message. `cost` is for all `segments` together; None where it is not told."""

    provider_id: str
    segments: int
    cost: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of an accepted message. `error` is the provider's code or word, never a phone number."""

    provider_id: str
    state: ReceiptState
    error: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Balance:
    """Money left at the provider; `currency` is an ISO 4217 code, None where it is not told."""

    amount: Decimal
    currency: str | None = None


class OutcomeUnknown(Exception):
    """The request may have been accepted: the answer is missing or unreadable. Never resend blindly."""


class CannotAsk(Exception):
    """This provider has no call that finds a message by our id."""


class BadReceipt(Exception):
    """What came to the receipt address is not an authentic receipt of this provider: answer 400."""


class SmsProvider(Protocol):
    """A gateway that sends text messages. Holds connections: close it."""

    @property
    def name(self) -> str: ...

    async def send(self, sms: Sms) -> SendResult:
        """Hand one message over.

        Raises TemporaryFailure or PermanentFailure when it was surely not accepted, OutcomeUnknown otherwise.
        """
        ...

    async def find(self, client_id: str, *, recipient: str | None = None) -> SendResult | None:
        """What the provider made of `client_id`; None: it never took it, so it may be sent again.

        Some providers look a message up only together with its `recipient`.
        Raises CannotAsk where the provider has no such call, TemporaryFailure when it does not answer.
        """
        ...

    def parse_receipt(
        self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> list[Receipt]:
        """The delivery reports in one call to our receipt address.

        Header names come in lower case. Raises BadReceipt for anything that is not authentic and well formed.
        """
        ...

    async def balance(self) -> Balance | None:
        """Money left; None where the provider has no such call. Raises as `find` does."""
        ...

    async def close(self) -> None: ...
