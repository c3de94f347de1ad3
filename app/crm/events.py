"""What happened, in words that belong to no CRM.

Texts are as the source wrote them: a phone may be "8 (912) 345-67-89", an amount "1 000,50". The rules of
`app/inbox/` read them and say what is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an event is about, as far as the source says.

    `contact` is the source's own id of the person, such as "contact:4711": it says more than a phone, which
    several people may share.
    """

    contact: str | None = None
    phone: str | None = None
    card_number: str | None = None
    family: str | None = None  # the contact, by the source's id, whose account this person shares
    name: str | None = None
    email: str | None = None
    birthday: str | None = None  # 2012-05-31
    language: str | None = None  # "ru"
    answers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class PointsMoved:
    """Points to add (above zero) or take (below zero). Once per `reference`, such as "visit:1042".

    `spent`: the person pays with them, instead of their being corrected.
    """

    reference: str
    person: Person
    points: str
    reason: str = ""
    spent: bool = False


@dataclass(frozen=True, slots=True)
class PurchaseChanged:
    """What a purchase or a won deal is worth now; "0" when it was cancelled, lost or returned.

    Reported again under its `reference` ("order:1042", "deal:7405") with another amount, the difference is
    posted. `as_of` keeps an older report that comes late from undoing a newer one.
    """

    reference: str
    person: Person
    amount: str
    currency: str | None = None  # ISO 4217; None: the programme's
    reason: str = ""
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class DealTouched:
    """Something about a deal changed, and the source must be asked what: it says only the deal's id."""

    deal: str


@dataclass(frozen=True, slots=True)
class PurchaseReturned:
    """A part of a purchase was given back: its worth falls by `amount`, once per `refund`."""

    reference: str
    refund: str
    amount: str
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A person's data in the source changed. Somebody who is no member yet becomes none by it."""

    person: Person


@dataclass(frozen=True, slots=True)
class CardWanted:
    """Somebody joins: a form was sent, a manager pressed "issue". They become a member with a pass.

    `opening_points` are what a new account begins with. `consented`: the source shows our consent text and
    the person agreed.
    """

    person: Person
    opening_points: str = "0"
    sends_link: bool = True


Event = PointsMoved | PurchaseChanged | DealTouched | PurchaseReturned | ContactChanged | CardWanted
