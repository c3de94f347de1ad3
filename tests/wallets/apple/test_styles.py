"""Every style and every key of pass.json that a template can ask for."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from app.wallets.apple.compile import Compiled, compile_pass
from app.wallets.apple.compile.barcodes import FORMATS
from app.wallets.lint import check, check_pass_json
from app.wallets.templates import load_template
from tests.wallets.passes import BALANCE, IDENTITY, NEWS, NFC_KEY, TOML, write_template

FIELDS = "".join(
    f'[[fields]]\nkey = "{placement}"\nplacement = "{placement}"\nlabel = "@name"\nvalue = "x"\n'
    for placement in ("header", "primary", "secondary", "auxiliary", "back", "footer")
)


def compile_toml(folder: Path, toml: str, *, barcode: str = "4600", **values: object) -> Compiled:
    template = load_template(write_template(folder, toml))
    sample = template.samples["en"]
    return compile_pass(
        template, replace(sample, barcode=barcode, values={**sample.values, **values}), IDENTITY
    )


def errors(folder: Path, made: Compiled) -> list[str]:
    template = load_template(folder)
    faults = check_pass_json(json.loads(made.pass_json), {**template.static_files, **made.extra_files})
    return [str(fault) for fault in faults if fault.level == "error"]


@pytest.mark.parametrize("style", ["storeCard", "coupon", "generic", "eventTicket", "boardingPass"])
def test_a_style_shows_its_fields_where_it_has_them_and_tells_what_moved(tmp_path, style):
    top = f'transit = "train"\n{TOML}' if style == "boardingPass" else TOML

    made = compile_toml(tmp_path, top.replace("storeCard", style) + FIELDS)

    pass_json = json.loads(made.pass_json)
    assert errors(tmp_path, made) == []
    assert [field["key"] for field in pass_json[style]["backFields"]] == ["back", "footer"]
    assert [field["key"] for field in pass_json[style]["auxiliaryFields"]] == ["auxiliary"]
    assert pass_json[style].get("transitType") == ("PKTransitTypeTrain" if style == "boardingPass" else None)
    assert [loss.where for loss in made.losses] == ["fields.footer"]


def test_a_poster_has_its_generic_twin_for_older_phones(tmp_path):
    made = compile_toml(tmp_path, TOML.replace("storeCard", "posterGeneric") + FIELDS)

    pass_json = json.loads(made.pass_json)
    assert errors(tmp_path, made) == []
    assert set(pass_json["posterGeneric"]) == {"headerFields", "primaryFields", "backFields", "footerFields"}
    assert set(pass_json["generic"]) == {
        "headerFields",
        "primaryFields",
        "secondaryFields",
        "auxiliaryFields",
        "backFields",
    }
    assert {loss.where for loss in made.losses} == {"fields.secondary", "fields.auxiliary"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qr", "карта 4600"),
        ("pdf417", "4600"),
        ("aztec", "4600"),
        ("code128", "4600-A"),
        ("ean13", "4006381333931"),
        ("code39", "AB-12"),
        ("codabar", "A40156B"),
        ("i2of5", "1234567895"),
    ],
)
def test_every_barcode_format_ends_in_one_that_older_phones_show(tmp_path, name, message):
    made = compile_toml(tmp_path, f'{TOML}{BALANCE}{NEWS}[[barcodes]]\nformat = "{name}"', barcode=message)

    barcodes = json.loads(made.pass_json)["barcodes"]
    is_new = name in ("ean13", "code39", "codabar", "i2of5")
    assert errors(tmp_path, made) == []
    assert [each["format"] for each in barcodes] == [FORMATS[name], *[FORMATS["qr"]] * is_new]
    assert {each["message"] for each in barcodes} == {message}
    assert barcodes[0]["messageEncoding"] == ("utf-8" if name == "qr" else "iso-8859-1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ean13", "4006381333932"),
        ("ean13", "400638133393"),
        ("code39", "abc"),
        ("codabar", "12-x"),
        ("i2of5", "123"),
        ("code128", "карта"),
    ],
)
def test_what_a_format_cannot_hold_is_shown_by_the_next_and_told(tmp_path, name, message):
    toml = f'{TOML}{BALANCE}{NEWS}[[barcodes]]\nformat = "{name}"\n[[barcodes]]\nformat = "qr"'

    made = compile_toml(tmp_path, toml, barcode=message)

    assert [each["format"] for each in json.loads(made.pass_json)["barcodes"]] == [FORMATS["qr"]]
    assert [loss.where for loss in made.losses] == ["barcodes.0"]


def test_a_pass_may_do_without_a_barcode(tmp_path):
    made = compile_toml(tmp_path, f"barcodes = []\n{TOML}{BALANCE}")

    assert "barcodes" not in json.loads(made.pass_json)


EVERYTHING = f"""
style = "generic"
languages = ["en", "ru"]
organization = "@name"
description = "@name"
logo_text = "{{{{ member_name|default('Card') }}}}"
logo_symbol = "cup.and.saucer"
sharing = false
max_distance = 150
relevant_date = "{{{{ opening }}}}"
preferred_style_schemes = ["posterGeneric"]

[colors]
background = "#3b2418"
foreground = "#ffffff"
label = "#d9b48f"
strip = "#000000"

[[fields]]
key = "balance"
placement = "primary"
value = "{{{{ points }}}}"
format = {{ currency = "KZT" }}

[[fields]]
key = "visits"
placement = "secondary"
value = "{{{{ points }}}}"
format = {{ number = "spell_out" }}
align = "center"

[[fields]]
key = "opening"
placement = "secondary"
value = "{{{{ opening }}}}"
format = {{ date = "short", time = "short", relative = true, ignores_time_zone = true }}

[[fields]]
key = "only_google"
placement = "back"
value = "x"
wallets = ["google"]

[[fields]]
key = "site"
placement = "back"
value = "https://example.com"
link = {{ url = "https://example.com/?n={{{{ member_name|url }}}}&a=1", text = "<{{{{ member_name }}}}>" }}
detect = ["link", "phone"]

[[locations]]
latitude = 43.238949
longitude = 76.889709
altitude = 800.5
text = "@name"

[[beacons]]
uuid = "f8f589e9-c07e-4b57-9e1c-7d3f0a3f1f42"
major = 1
minor = 2
text = "near"

[[relevant_dates]]
date = 2026-12-31T20:00:00+05:00

[[relevant_dates]]
start = "{{{{ opening }}}}"
end = 2026-12-31T23:00:00Z

[nfc]
message = "{{{{ barcode }}}}"
encryption_public_key = "{NFC_KEY}"
requires_authentication = true

[semantics]
balance = {{ amount = "{{{{ points }}}}.00", currencyCode = "KZT" }}
eventStartDate = "{{{{ opening }}}}"
silenceRequested = true

[[featured_actions]]
identifier = "benefits"
type = "membershipBenefits"
url = "https://example.com/m/{{{{ barcode|url }}}}"

[[featured_actions]]
identifier = "shop"
type = "place"
place = "I1234"

[links]
managementURL = "https://example.com/manage"

[app]
store_identifiers = [284910350]
launch_url = "example://card/{{{{ barcode }}}}"
user_info = {{ member = "{{{{ barcode }}}}", points = "{{{{ points }}}}" }}
"""


def test_every_key_a_template_can_ask_for_is_written_as_apple_wants_it(tmp_path):
    made = compile_toml(
        tmp_path,
        EVERYTHING.replace("opening", "birthday"),
        points=8,
        member_name="A&<B>",
        birthday=date(2026, 12, 1),
    )

    pass_json = json.loads(made.pass_json)
    opening = "2026-12-01T00:00:00+05:00"
    assert errors(tmp_path, made) == []
    fields = {
        field["key"]: field
        for name in ("primaryFields", "secondaryFields", "backFields")
        for field in pass_json["generic"][name]
    }
    assert fields == {
        "balance": {"key": "balance", "value": 8, "currencyCode": "KZT"},
        "visits": {
            "key": "visits",
            "value": 8,
            "numberStyle": "PKNumberStyleSpellOut",
            "textAlignment": "PKTextAlignmentCenter",
        },
        "birthday": {
            "key": "birthday",
            "value": opening,
            "dateStyle": "PKDateStyleShort",
            "timeStyle": "PKDateStyleShort",
            "isRelative": True,
            "ignoresTimeZone": True,
        },
        "site": {
            "key": "site",
            "value": "https://example.com",
            "attributedValue": '<a href="https://example.com/?n=A%26%3CB%3E&amp;a=1">&lt;A&amp;&lt;B&gt;&gt;</a>',
            "dataDetectorTypes": ["PKDataDetectorTypeLink", "PKDataDetectorTypePhoneNumber"],
        },
    }
    assert {key: pass_json[key] for key in pass_json if key not in ("generic", "barcodes")} == {
        "formatVersion": 1,
        "passTypeIdentifier": "pass.com.example.loyalty",
        "teamIdentifier": "ABCDE12345",
        "serialNumber": "0001",
        "authenticationToken": "0123456789abcdef",
        "webServiceURL": "https://example.com/apple",
        "organizationName": "Card",
        "description": "Card",
        "logoText": "A&<B>",
        "logoSymbolName": "cup.and.saucer",
        "backgroundColor": "rgb(59, 36, 24)",
        "foregroundColor": "rgb(255, 255, 255)",
        "labelColor": "rgb(217, 180, 143)",
        "stripColor": "rgb(0, 0, 0)",
        "preferredStyleSchemes": ["posterGeneric"],
        "locations": [
            {"latitude": 43.238949, "longitude": 76.889709, "altitude": 800.5, "relevantText": "Card"}
        ],
        "beacons": [
            {
                "proximityUUID": "f8f589e9-c07e-4b57-9e1c-7d3f0a3f1f42",
                "major": 1,
                "minor": 2,
                "relevantText": "near",
            }
        ],
        "maxDistance": 150.0,
        "relevantDate": opening,
        "relevantDates": [
            {"date": "2026-12-31T20:00:00+05:00"},
            {"startDate": opening, "endDate": "2026-12-31T23:00:00+00:00"},
        ],
        "sharingProhibited": True,
        "nfc": {"message": "4600", "encryptionPublicKey": NFC_KEY, "requiresAuthentication": True},
        "semantics": {
            "balance": {"amount": "8.00", "currencyCode": "KZT"},
            "eventStartDate": opening,
            "silenceRequested": True,
        },
        "featuredActions": [
            {"identifier": "benefits", "type": "membershipBenefits", "url": "https://example.com/m/4600"},
            {"identifier": "shop", "type": "place", "placeIdentifier": "I1234"},
        ],
        "managementURL": "https://example.com/manage",
        "associatedStoreIdentifiers": [284910350],
        "appLaunchURL": "example://card/4600",
        "userInfo": {"member": "4600", "points": 8},
    }


def test_trips_and_events_may_be_grouped(tmp_path):
    toml = f'grouping = "trip-{{{{ barcode }}}}"\n{TOML.replace("storeCard", "eventTicket")}{BALANCE}'

    made = compile_toml(tmp_path, toml)

    assert json.loads(made.pass_json)["groupingIdentifier"] == "trip-4600"
    assert errors(tmp_path, made) == []


def test_apple_json_is_merged_last_object_by_object(tmp_path):
    over = {
        "storeCard": {"auxiliaryFields": [{"key": "extra", "value": "{{ points|number }}"}]},
        "description": None,
        "logoText": "@name",
        "upcomingPassInformation": [{"identifier": "a", "points": "{{ points }}"}],
    }
    folder = write_template(tmp_path, TOML + BALANCE + NEWS, **{"apple.json": json.dumps(over)})
    template = load_template(folder)

    pass_json = json.loads(compile_pass(template, template.samples["ru"], IDENTITY).pass_json)

    assert pass_json["storeCard"]["auxiliaryFields"] == [{"key": "extra", "value": "8"}]
    assert pass_json["storeCard"]["primaryFields"][0]["key"] == "balance"
    assert pass_json["logoText"] == "Карта"
    assert pass_json["upcomingPassInformation"] == [{"identifier": "a", "points": 8}]
    assert "description" not in pass_json
    assert {problem.code for problem in check(template)} == {"missing-key"}
