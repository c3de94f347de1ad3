"""The [google] table of template.toml: what Google Wallet has and Apple has not. Everything has a default.

Where a key of a field is asked for, it is one of [[fields]]; pictures are files of images/google/.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

GoogleKind = Literal["loyalty", "offer", "giftCard", "eventTicket", "flight", "transit", "generic"]
Row = Annotated[tuple[str, ...], Field(min_length=1, max_length=3)]
Moment = datetime | str | None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class GoogleLink(_Part):
    """A link below the card: a page, a telephone ("tel:+77270000000") or an address ("geo:43.2,76.9")."""

    url: str
    text: str


class GoogleImage(_Part):
    """A picture below the card, and what it shows, for those who do not see it."""

    file: str
    text: str


class ValueAdded(_Part):
    """An offer beside the card: a header and where a tap on it leads, shown from `starts` until `ends`."""

    header: str
    url: str
    body: str = ""
    image: str = ""
    starts: Moment = None
    ends: Moment = None


class SmartTap(_Part):
    """What a terminal certified for Smart Tap reads. `redemption_issuers` are issuer ids with a key."""

    redemption_issuers: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9]{1,20}$")], ...], Field(min_length=1)
    ]
    value: str = "{{ barcode }}"


class RotatingBarcode(_Part):
    """A barcode that changes by itself, phone offline: {totp_value_0} is an RFC 6238 code of this pass."""

    format: Literal["qr", "pdf417"] = "qr"
    pattern: str = "{{ barcode }}.{totp_value_0}"
    alt_text: str = "{{ barcode }}"
    period_seconds: Annotated[int, Field(ge=3, le=3600)] = 30
    digits: Annotated[int, Field(ge=6, le=10)] = 8


class AppLink(_Part):
    """The button below the card: a page, or the issuer's Android app by its package."""

    text: str = ""
    url: str = ""
    package: str = ""


class Google(_Part):
    kind: GoogleKind | None = None  # default: from the style
    class_by: str = ""  # one class for each value of it, as "{{ answer_flight }}"; default: one for all
    issuer_name: str = ""  # default: organization
    title: str = ""  # default: logo_text, else description
    points: str = ""  # the field that is the balance; default: the first primary field
    secondary_points: str = ""  # the field beside it; default: the first header field
    rows: Annotated[tuple[Row, ...], Field(max_length=3)] = ()  # default: the front fields, by placement
    details: tuple[str, ...] = ()  # what stands below the card, in this order; default: all
    above_barcode: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    below_barcode: str = ""
    account_id: str = "{{ card_number }}"
    account_id_label: str = ""
    account_name: str = "{{ member_name }}"
    account_name_label: str = ""
    homepage: str = ""
    links: tuple[GoogleLink, ...] = ()
    images: tuple[GoogleImage, ...] = ()
    value_added: Annotated[tuple[ValueAdded, ...], Field(max_length=15)] = ()
    info: tuple[Row, ...] = ()
    app_link: AppLink | None = None
    smart_tap: SmartTap | None = None
    rotating_barcode: RotatingBarcode | None = None
    holders: Literal["multiple_holders", "one_user_all_devices", "one_user_one_device"] = (
        "one_user_all_devices"
    )
    screenshots: bool = True
    nfc_blocks: tuple[Literal["block_payment", "block_closed_loop_transit"], ...] = ()
    unlock_to_view: bool = False
    links_others: bool = False  # put the member's other passes beside this one: Google takes none away again
    shimmer: bool = False
    sort_index: int | None = None
    redemption_channel: Literal["instore", "online", "both"] = "instore"
    trip_type: Literal["one_way", "round_trip"] = "one_way"
    remind_before_expiry: bool = True

    def field_keys(self) -> list[str]:
        """The keys of fields it refers to."""
        listed = [key for row in (*self.rows, *self.info) for key in row]
        single = (self.points, self.secondary_points, self.below_barcode)
        return [*listed, *self.details, *self.above_barcode, *(key for key in single if key)]
