"""Why an event rests: a code whose text a manager understands, and what the text names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.crm import Unreadable
from app.i18n import Texts
from app.members import people
from app.points import refusals

VALUE_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Reason:
    """A key of the texts under [inbox], and the {names} that text fills in."""

    code: str
    values: Mapping[str, str]


class CannotApply(Exception):
    """The event cannot be carried out as things are; it rests until somebody mends the cause."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.reason = Reason(code, {name: str(value)[:VALUE_LENGTH_MAX] for name, value in values.items()})


# What the rules below raise, in a manager's words. What is not here is a failure and is tried again.
_BY_ERROR: dict[type[Exception], Callable[[Any], Reason]] = {
    CannotApply: lambda error: error.reason,
    Unreadable: lambda error: Reason("unreadable", {"what": error.what[:VALUE_LENGTH_MAX]}),
    people.InvalidPhone: lambda error: Reason("bad_phone", {"phone": ""}),
    people.PhoneTaken: lambda error: Reason("phone_taken", {"detail": str(error)}),
    people.ExternalIdTaken: lambda error: Reason("contact_taken", {"detail": str(error)}),
    refusals.NotEnoughPoints: lambda error: Reason(
        "not_enough_points", {"balance": str(error.balance), "asked": str(error.asked)}
    ),
    refusals.MemberBlocked: lambda error: Reason("member_blocked", {}),
    refusals.PointsOutOfRange: lambda error: Reason("bad_points", {"points": str(error.points)}),
    refusals.SourceEventReused: lambda error: Reason(
        "reference_reused", {"reference": error.first.source_event}
    ),
    refusals.NoEarningRate: lambda error: Reason("no_earning_rate", {}),
    refusals.BadFact: lambda error: Reason("unreadable", {"what": str(error)}),
}


RESTS = tuple(_BY_ERROR)


def reason_of(error: Exception) -> Reason:
    """Why an event rests that met one of the errors in RESTS."""
    return next(_BY_ERROR[kind](error) for kind in type(error).__mro__ if kind in _BY_ERROR)


def text_of(texts: Texts, language: str, code: str, values: Mapping[str, Any]) -> str:
    """The reason in words."""
    return texts.get(language, f"inbox.{code}", **{name: str(value) for name, value in values.items()})
