"""A Bitrix24 portal as a source: its settings, and what proves that it sent something.

An outgoing webhook carries its application token, which is then the source's secret. The stock robot
"outgoing webhook" and our own application call /hooks/{source}/{secret} instead. There is no signature and
nothing against repetition (https://apidocs.bitrix24.ru/api-reference/events/), so nothing that is posted is
believed but what it is about; REST says the rest.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from app.crm import BadSourceSettings, Delivery
from app.crm.bitrix24 import deliveries
from app.crm.bitrix24.rest import OAUTH_URL
from app.crm.events import Event
from app.crm.signatures import is_among

KIND = "bitrix24"
# The names of what is secret about a portal, beside what proves its deliveries.
WEBHOOK_URL, CLIENT_SECRET, APPLICATION_TOKEN = "api_token", "client_secret", "application_token"


class Fields(BaseModel):
    """The contact's custom fields that show the card; an empty name: not shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: str = "UF_CRM_PASSBELL_CARD"
    link: str = "UF_CRM_PASSBELL_LINK"
    balance: str = "UF_CRM_PASSBELL_BALANCE"
    tier: str = "UF_CRM_PASSBELL_TIER"


class Bitrix24Settings(BaseModel):
    """How the programme and the portal work together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    portal_url: str = Field(pattern=r"^https?://[^/\s?#]+$")  # "https://school.bitrix24.ru"
    client_id: str = ""  # of the local application; without one only the incoming webhook is used
    oauth_url: str = Field(OAUTH_URL, pattern=r"^https?://")
    accrues: bool = True  # won deals earn points
    counts_from: AwareDatetime | None = None  # deals won before it earn nothing; None: since it is connected
    cards_for: Literal["nobody", "forms", "everybody"] = "forms"  # which new contacts get one by themselves
    forms: tuple[int, ...] = ()  # the ids of those CRM forms; empty: of any
    opening_points: int = Field(0, ge=0, le=1_000_000_000)
    redeem_percent_max: int = Field(50, ge=0, le=100)  # of a deal's amount, in points of one unit each
    fields: Fields = Fields()
    notifies: bool = True  # the manager responsible hears of new members and of what went wrong
    comments: bool = True  # a deal's story says what it brought
    requests_per_second: float = Field(2.0, gt=0, le=1000)
    requests_at_once: int = Field(40, ge=1, le=100_000)  # below the bucket's 50: others knock there too


def settings_of(settings: Mapping[str, Any]) -> Bitrix24Settings:
    """Raises BadSourceSettings."""
    try:
        return Bitrix24Settings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise BadSourceSettings(f"{where}: {first['msg']}") from error


def check_settings(settings: Mapping[str, Any]) -> None:
    settings_of(settings)


def has_secret_address(settings: Mapping[str, Any]) -> bool:
    return False  # it may have one, for robots, but does not need it


def is_authentic(delivery: Delivery, secrets: Sequence[str], settings: Mapping[str, Any]) -> bool:
    if delivery.token:
        return is_among(delivery.token, secrets)
    return is_among(deliveries.application_token(delivery), secrets)


def event_id(delivery: Delivery, settings: Mapping[str, Any]) -> str | None:
    return deliveries.event_id(delivery)


def parse(delivery: Delivery, settings: Mapping[str, Any]) -> Sequence[Event]:
    """Nothing: what happened must be asked for."""
    return ()
