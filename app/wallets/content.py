"""What a pass shows, in words neither Apple's nor Google's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

Value = str | int | date | datetime | None

# What every programme can tell about a member; a template may name these without declaring them.
# Answers to a form's questions are "answer_<question key>" and are declared in the template's sample.json.
STANDARD_NAMES = frozenset(
    {
        "program_name",
        "member_name",
        "card_number",
        "points",
        "tier",
        "message",
        "member_since",
        "birthday",
        "barcode",
    }
)


@dataclass(frozen=True)
class PassContent:
    """What one pass shows now.

    `values` are what a template's expressions may name, scalars only; a name that is missing shows as
    nothing. `barcode` is what the till scans. `language` is BCP 47 ("ru"), `country` ISO 3166 ("KZ"),
    `currency` ISO 4217 ("KZT"), `time_zone` IANA ("Asia/Almaty"). Date-times are aware.
    """

    values: Mapping[str, Value]
    barcode: str
    language: str
    currency: str
    country: str
    time_zone: str
    voided: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True)
class PassIdentity:
    """Which pass this is to Apple, and where it asks for its news.

    `authentication_token` has at least 16 characters and never changes in the pass's life;
    `web_service_url` is https and ends before "/v1".
    """

    pass_type_identifier: str
    team_identifier: str
    serial_number: str
    authentication_token: str
    web_service_url: str


@dataclass(frozen=True)
class Loss:
    """Something of the template that a wallet will not show, and what it does instead."""

    wallet: str  # "apple"
    where: str  # as in template.toml: "fields.branch"
    text: str
