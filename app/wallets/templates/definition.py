"""The shape of template.toml: every table and key a designer may write.

Strings may be plain, hold expressions ("{{ points|number }}"), or name a text of the locales ("@balance").
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.wallets.templates.google import Google

Style = Literal["storeCard", "coupon", "generic", "eventTicket", "boardingPass", "posterGeneric"]
Placement = Literal["header", "primary", "secondary", "auxiliary", "back", "additional_info", "footer"]
Wallet = Literal["apple", "google"]
HexColor = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
DateStyle = Literal["none", "short", "medium", "long", "full"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Colors(_Part):
    background: HexColor
    foreground: HexColor
    label: HexColor | None = None
    strip: HexColor | None = None


class NativeFormat(_Part):
    """Leaves formatting to the phone: the value goes out as a number or a date, not as text."""

    number: Literal["decimal", "percent", "scientific", "spell_out"] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    date: DateStyle | None = None
    time: DateStyle | None = None
    relative: bool = False
    ignores_time_zone: bool = False


class Link(_Part):
    """A link shown as words in place of the value; watches and other wallets show the value."""

    url: str
    text: str


class PassField(_Part):
    key: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    value: str
    placement: Placement
    label: str = ""
    change_message: str = ""
    hide_when_empty: bool = False
    align: Literal["left", "center", "right", "natural"] | None = None
    format: NativeFormat | None = None
    link: Link | None = None
    detect: tuple[Literal["phone", "link", "address", "calendar"], ...] | None = None
    row: Literal[0, 1] | None = None
    semantics: dict[str, Any] = {}
    wallets: tuple[Wallet, ...] = ("apple", "google")


class Barcode(_Part):
    format: Literal["qr", "pdf417", "aztec", "code128", "ean13", "code39", "codabar", "i2of5"] = "qr"
    message: str = "{{ barcode }}"
    alt_text: str = "{{ barcode }}"


class Location(_Part):
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    altitude: float | None = None
    text: str = ""


class Beacon(_Part):
    uuid: str
    major: Annotated[int, Field(ge=0, le=65535)] | None = None
    minor: Annotated[int, Field(ge=0, le=65535)] | None = None
    text: str = ""


class RelevantDate(_Part):
    """One moment (`date`), or from `start` to `end`. Moments with an offset, or expressions that give one."""

    date: datetime | str | None = None
    start: datetime | str | None = None
    end: datetime | str | None = None


class Nfc(_Part):
    message: str
    encryption_public_key: str
    requires_authentication: bool = False


class FeaturedAction(_Part):
    identifier: str
    type: str
    url: str = ""
    place: str = ""


class Stamps(_Part):
    """A strip drawn for each pass: `count` of `of` stamps, from the pictures in images/stamps/."""

    count: str = "{{ points }}"
    of: Annotated[int, Field(ge=1, le=20)] = 10


class App(_Part):
    """The issuer's own app: App Store ids, and the address it is opened with."""

    store_identifiers: tuple[int, ...] = ()
    launch_url: str = ""
    user_info: dict[str, Any] = {}


class Definition(_Part):
    style: Style
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    organization: str
    description: str
    colors: Colors
    logo_text: str = ""
    logo_symbol: str = ""
    fields: tuple[PassField, ...] = ()
    barcodes: tuple[Barcode, ...] = (Barcode(),)
    stamps: Stamps | None = None
    sharing: bool = True
    grouping: str = ""
    transit: Literal["air", "boat", "bus", "generic", "train"] | None = None
    suppress_strip_shine: bool = False
    preferred_style_schemes: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()
    beacons: tuple[Beacon, ...] = ()
    max_distance: Annotated[float, Field(gt=0)] | None = None
    relevant_date: datetime | str | None = None
    relevant_dates: tuple[RelevantDate, ...] = ()
    nfc: Nfc | None = None
    semantics: dict[str, Any] = {}
    featured_actions: tuple[FeaturedAction, ...] = ()
    links: dict[str, str] = {}
    app: App | None = None
    google: Google = Google()

    @model_validator(mode="after")
    def _names_its_fields(self) -> "Definition":
        known = {field.key for field in self.fields}
        for key in self.google.field_keys():
            if key not in known:
                raise ValueError(f"google: there is no field {key!r}: use the key of one of [[fields]]")
        return self
