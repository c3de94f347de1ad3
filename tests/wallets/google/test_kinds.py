"""Each of Google's seven kinds, whole: every table and key that a template may have for it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.wallets.google.losses import losses
from app.wallets.google.wallet import totp_key
from app.wallets.templates import load_template
from tests.wallets.google.conftest import ISSUER, PROGRAM, SERIAL, SHIPPED, URL, bodies, wallet_of
from tests.wallets.google.discovery import assert_valid
from tests.wallets.passes import BALANCE, NEWS, TOML, png, write_template

EVERYTHING = (
    """
grouping = "trip-{{ barcode }}"
"""
    + TOML
    + BALANCE
    + NEWS
    + """
[[fields]]
key = "level"
placement = "secondary"
label = "@name"
value = "{{ answer_level }}"
link = { url = "https://example.com/{{ answer_level|url }}", text = "@name" }

[[fields]]
key = "terms"
placement = "back"
label = "Terms"
value = "@name"

[[locations]]
latitude = 43.2
longitude = 76.9

[google]
homepage = "https://example.com"
rows = [["level", "balance", "terms"], ["news"]]
details = ["terms"]
above_barcode = ["level", "terms"]
below_barcode = "news"
info = [["level", "terms"]]
account_id_label = "@name"
screenshots = false
nfc_blocks = ["block_payment"]
unlock_to_view = true
shimmer = true
sort_index = 2
holders = "multiple_holders"

[[google.links]]
url = "tel:+77270000000"
text = "@name"

[[google.images]]
file = "menu.png"
text = "@name"

[[google.value_added]]
header = "@name"
body = "Only today"
url = "https://example.com/offer"
image = "menu.png"
starts = 2026-11-22T10:00:00+05:00
ends = 2026-11-23T10:00:00+05:00

[[google.value_added]]
header = "For {{ answer_level }}"
url = "https://example.com/mine"

[google.app_link]
text = "@name"
package = "com.example.app"

[google.smart_tap]
redemption_issuers = ["3388000000022141777"]

[google.rotating_barcode]
pattern = "{{ barcode }}.{totp_value_0}.{totp_timestamp_seconds}"
"""
)
FLIGHT = """
[semantics]
airlineCode = "KC"
flightNumber = "851"
departureAirportCode = "ALA"
departureAirportTimeZone = "Asia/Almaty"
destinationAirportCode = "LHR"
destinationAirportTimeZone = "Europe/London"
departureGate = "12"
originalDepartureDate = 2026-12-01T03:00:00Z
originalArrivalDate = 2026-12-01T11:30:00Z
passengerName = { givenName = "Alice", familyName = "Ivanova" }
confirmationNumber = "ABC123"
boardingGroup = "B"
seats = [{ seatNumber = "14C", seatType = "Economy" }]
"""
EVENT = """
[semantics]
eventName = "@name"
venueName = "Hall"
venueRegionName = "Almaty"
eventStartDate = 2026-12-01T13:00:00Z
venueEntrance = "West"
seats = [{ seatSection = "A", seatRow = "5", seatNumber = "12" }]
"""
TRANSIT = """
[semantics]
departureStationName = "Almaty-2"
destinationStationName = "Astana"
departurePlatform = "3"
vehicleNumber = "Tulpar 1"
carNumber = "7"
originalDepartureDate = 2026-12-01T13:00:00Z
seats = [{ seatNumber = "22" }]
"""
STYLES = {
    "loyalty": ("storeCard", "", ""),
    "offer": ("coupon", "", ""),
    "giftCard": ("storeCard", 'kind = "giftCard"', ""),
    "eventTicket": ("eventTicket", "", EVENT),
    "flight": ("boardingPass", "", FLIGHT),
    "transit": ("boardingPass", "", TRANSIT),
    "generic": ("generic", "", ""),
}


def toml_of(kind: str, toml: str = EVERYTHING) -> str:
    style, google, semantics = STYLES[kind]
    transit = {"flight": 'transit = "air"\n', "transit": 'transit = "train"\n'}.get(kind, "")
    return (
        transit + toml.replace("storeCard", style).replace("[google]\n", f"[google]\n{google}\n") + semantics
    )


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A template with everything, of each kind."""
    made = {}
    for kind in STYLES:
        folder = tmp_path_factory.mktemp("templates") / kind
        pictures = {f"images/google/{name}.png": png(660, 660) for name in ("menu", "logo", "wide_logo")}
        made[kind] = load_template(write_template(folder, toml_of(kind), **pictures))
    return made


@pytest.mark.parametrize("kind", STYLES)
def test_every_kind_with_everything_is_as_google_describes_it(everything, kind):
    template = everything[kind]

    class_, object_ = bodies(template)

    assert wallet_of({kind: template}).kind(kind) == kind
    assert_valid(kind, "Class", class_)
    assert_valid(kind, "Object", object_)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([*STYLES]),
    language=st.sampled_from(["en", "ru", "kk", "x"]),
    points=st.one_of(st.integers(), st.none(), st.text(max_size=20)),
    words=st.text(max_size=60),
    barcode=st.text(min_size=1, max_size=40),
    voided=st.booleans(),
    expires_at=st.one_of(st.none(), st.datetimes(timezones=st.timezones())),
)
def test_no_content_makes_a_body_google_would_not_take(everything, kind, language, words, points, **content):
    changes = {"member_name": words, "answer_level": words, "message": words, "card_number": words}

    class_, object_ = bodies(everything[kind], language, points=points, **changes, **content)

    assert_valid(kind, "Class", class_)
    assert_valid(kind, "Object", object_)


def test_a_flight_is_on_the_clocks_of_its_airports(everything):
    class_, object_ = bodies(everything["flight"])

    assert class_["flightHeader"] == {"carrier": {"carrierIataCode": "KC"}, "flightNumber": "851"}
    assert class_["localScheduledDepartureDateTime"] == "2026-12-01T08:00:00"
    assert class_["localScheduledArrivalDateTime"] == "2026-12-01T11:30:00"
    assert class_["origin"] == {"airportIataCode": "ALA", "gate": "12"}
    assert object_["passengerName"] == "Alice Ivanova"
    assert object_["boardingAndSeatingInfo"]["seatNumber"] == "14C"


def test_an_event_has_its_hall_time_and_seat(everything):
    class_, object_ = bodies(everything["eventTicket"])

    assert class_["eventName"]["translatedValues"] == [{"language": "en", "value": "Card"}]
    assert class_["dateTime"] == {"start": "2026-12-01T18:00:00+05:00"}
    assert class_["venue"]["address"]["defaultValue"]["value"] == "Almaty"
    assert object_["seatInfo"]["row"]["defaultValue"]["value"] == "5"


def test_a_train_has_its_stations(everything):
    class_, object_ = bodies(everything["transit"])

    assert class_["transitType"] == "RAIL"
    assert object_["ticketLeg"]["originName"]["defaultValue"]["value"] == "Almaty-2"
    assert object_["ticketLeg"]["ticketSeat"] == {"coach": "7", "seat": "22"}


def test_a_gift_card_has_its_balance_in_the_programmes_currency(everything):
    _, object_ = bodies(everything["giftCard"], points=1500, card_number="7701")

    assert object_["cardNumber"] == "7701"
    assert object_["balance"] == {"micros": "1500000000", "currencyCode": "KZT"}


def test_a_generic_pass_shows_its_first_field_large(everything):
    class_, object_ = bodies(everything["generic"], points=8)

    assert object_["header"]["defaultValue"]["value"] == "8"
    assert object_["hexBackgroundColor"] == "#3b2418"
    assert "reviewStatus" not in class_  # its schema has none


def test_rows_smart_tap_constraints_and_offers_are_what_the_template_says(everything):
    class_, object_ = bodies(everything["loyalty"])

    rows = class_["classTemplateInfo"]["cardTemplateOverride"]["cardRowTemplateInfos"]
    middle = rows[0]["threeItems"]["middleItem"]["firstValue"]["fields"][0]["fieldPath"]
    assert middle == "object.loyaltyPoints.balance"
    assert rows[1]["oneItem"]["item"]["firstValue"]["fields"] == [
        {"fieldPath": "object.textModulesData['news']"}
    ]
    assert class_["redemptionIssuers"] == ["3388000000022141777"]
    assert object_["smartTapRedemptionValue"] == "4600"
    assert object_["passConstraints"] == {
        "screenshotEligibility": "INELIGIBLE",
        "nfcConstraint": ["BLOCK_PAYMENT"],
    }
    assert object_["groupingInfo"] == {"groupingId": "trip-4600", "sortIndex": 2}
    assert [each["sortIndex"] for each in class_["valueAddedModuleData"]] == [1]
    assert object_["valueAddedModuleData"][0]["header"]["defaultValue"]["value"] == "For 1"
    assert (
        object_["merchantLocations"] == class_["merchantLocations"] == [{"latitude": 43.2, "longitude": 76.9}]
    )
    assert object_["linksModuleData"]["uris"][0]["uri"] == "https://example.com/1"
    assert class_["linksModuleData"]["uris"][0]["uri"] == "tel:+77270000000"


def test_the_rotating_barcode_has_a_secret_of_its_own(everything):
    _, object_ = bodies(everything["loyalty"])

    rotating = object_["rotatingBarcode"]
    assert rotating["valuePattern"] == "4600.{totp_value_0}.{totp_timestamp_seconds}"
    assert rotating["totpDetails"] == {
        "algorithm": "TOTP_SHA1",
        "periodMillis": "30000",
        "parameters": [{"key": totp_key(b"s" * 32, SERIAL).hex().upper(), "valueLength": 8}],
    }
    assert totp_key(b"s" * 32, SERIAL) != totp_key(b"s" * 32, "another")


def test_linked_passes_are_this_issuers_and_at_most_fifty():
    google = wallet_of(SHIPPED)
    content = SHIPPED["coffee"].samples["ru"]

    object_ = google.object_body(
        "coffee", PROGRAM, content, serial_number=SERIAL, linked=[f"serial{n}" for n in range(51)]
    )

    assert object_["linkedObjectIds"][0] == f"{ISSUER}.serial0"
    assert len(object_["linkedObjectIds"]) == 50
    assert_valid("loyalty", "Object", object_)


def test_passes_of_two_flights_are_of_two_classes_that_say_each_its_own(written):
    toml = toml_of("flight", TOML + BALANCE + NEWS + '[google]\nclass_by = "{{ answer_level }}"\n')
    template = written(toml.replace('flightNumber = "851"', 'flightNumber = "{{ answer_level }}"'))

    first, second, again = (bodies(template, answer_level=number) for number in ("851", "853/Б", "851"))

    assert first[0]["id"] == again[0]["id"] == first[1]["classId"]
    assert first[0]["id"] != second[0]["id"] == second[1]["classId"]
    assert second[0]["flightHeader"]["flightNumber"] == "853/Б"
    assert set(second[0]["id"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


CROWDED = "".join(
    f'[[fields]]\nkey="f{n}"\nplacement="auxiliary"\nvalue="{{{{ points }}}}"\nchange_message="%@"\n'
    for n in range(12)
)


def test_what_google_does_not_show_is_named(everything, written):
    codes = '[[barcodes]]\nformat="qr"\n[[barcodes]]\nformat="aztec"\n'
    beacon = '[[beacons]]\nuuid="f8f589e9-c07e-4b57-9e1c-7d3f0a3f1f42"'
    toml = TOML + NEWS + CROWDED + codes + beacon

    told = {loss.where: loss.text for loss in losses(written(toml))}

    assert {"colors", "fields.f0", "fields.f11", "barcodes.1", "beacons", "images/logo.png"} <= told.keys()
    assert "rings no Android phone" in told["fields.f0"]
    assert {loss.wallet for loss in losses(everything["generic"])} == {"google"}
    assert "google.info" in {loss.where for loss in losses(everything["generic"])}


def test_every_picture_a_body_names_is_ours_and_is_served(everything):
    google = wallet_of(everything)

    def addresses(node):
        if isinstance(node, dict):
            if "sourceUri" in node:
                yield node["sourceUri"]["uri"]
            for value in node.values():
                yield from addresses(value)
        elif isinstance(node, list):
            for value in node:
                yield from addresses(value)

    found = {url for template in everything.values() for body in bodies(template) for url in addresses(body)}

    assert found
    for url in found:
        digest = url.removeprefix(f"{URL}/images/").removesuffix(".png")
        assert google.images.find(digest), url
