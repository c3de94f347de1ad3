"""Every fault has its name: each breaks one valid pass, or one valid template, in one way."""

import re
from pathlib import Path

import pytest

from app.wallets.lint import check, check_folder, check_pass_json
from app.wallets.templates import load_template
from app.wallets.text import FILTERS
from tests.wallets.passes import BALANCE, ICONS, NEWS, TOML, VALID, changed, png, write_template

TEMPLATES = Path(__file__).parents[2] / "pass_templates"
LINT = Path(__file__).parents[2] / "app" / "wallets" / "lint"
P384_KEY = (
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE+fqJQM/alGKa8M4jDHQ5wkMaaJ5Ek4ARthcQylZ3t+7ZNGMXS+m4hQXE2AuJ4aBq5AZbHRhf"
    "VkmOMm3KCe287r56Fq4HQLoq0HbxHCUDqm7TFTqZA07FCfORAWEx7iJA"
)
PLACE = {"latitude": 43.2, "longitude": 76.9}
BEACON = {"proximityUUID": "f8f589e9-c07e-4b57-9e1c-7d3f0a3f1f42"}
SHOP = {"identifier": "a", "type": "shop", "url": "https://example.com"}
FIELDS = "storeCard.secondaryFields"
FIELD = "storeCard.primaryFields.0"


def many(count: int) -> list[dict]:
    return [{"key": f"f{number}", "value": "x"} for number in range(count)]


def barcode(format_: str, message: str, encoding: str = "iso-8859-1") -> dict:
    return {"format": f"PKBarcodeFormat{format_}", "message": message, "messageEncoding": encoding}


PASS_FAULTS = [
    ("missing-key", {"description": ""}),
    ("format-version", {"formatVersion": 2}),
    ("wrong-type", {"voided": "yes"}),
    ("wrong-type", {"featuredActions": ["shop"]}),
    ("unknown-key", {"webserviceURL": "https://example.com"}),
    ("unknown-key", {"storeCard.frontFields": []}),
    ("no-style", {"storeCard": None}),
    ("several-styles", {"generic": {}}),
    ("grouping-wrong-style", {"groupingIdentifier": "trip"}),
    ("short-token", {"authenticationToken": "0123456789abcde"}),
    ("token-without-service", {"webServiceURL": None}),
    ("service-without-token", {"authenticationToken": None}),
    ("service-not-https", {"webServiceURL": "http://example.com"}),
    ("bad-color", {"backgroundColor": "brown"}),
    ("bad-color", {"backgroundColor": "rgb(256, 0, 0)"}),
    ("launch-url-without-app", {"associatedStoreIdentifiers": None}),
    ("number-as-text", {"associatedStoreIdentifiers": ["284910350"]}),
    ("too-many-actions", {"featuredActions": [SHOP, SHOP | {"identifier": "b"}, SHOP | {"identifier": "c"}]}),
    ("duplicate-action", {"featuredActions": [SHOP, SHOP]}),
    ("action-unknown-type", {"featuredActions": [SHOP | {"type": "dance"}]}),
    ("action-incomplete", {"featuredActions": [{"identifier": "a", "type": "shop"}]}),
    ("action-incomplete", {"featuredActions": [SHOP | {"type": "place"}]}),
    ("date-milliseconds", {"expirationDate": "2020-02-01T08:00:00.000+0000"}),
    ("date-milliseconds", {"relevantDates": [{"date": "2020-02-01T08:00:00.5Z"}]}),
    ("date-offset-without-colon", {"expirationDate": "2020-02-01T08:00:00+0500"}),
    ("date-without-offset", {"semantics.eventStartDate": "2020-02-01T08:00:00"}),
    ("date-invalid", {"expirationDate": "tomorrow"}),
    ("date-invalid", {"expirationDate": "2020-02-31T08:00:00Z"}),
    ("date-invalid", {FIELD: {"key": "day", "value": "soon", "dateStyle": "PKDateStyleShort"}}),
    ("duplicate-field-key", {f"{FIELDS}.0.key": "balance"}),
    ("field-without-key", {f"{FIELDS}.0.key": ""}),
    ("field-without-value", {f"{FIELDS}.0.value": None}),
    ("change-message-without-value", {f"{FIELD}.changeMessage": "Your balance changed"}),
    ("alignment-not-allowed", {f"{FIELD}.textAlignment": "PKTextAlignmentRight"}),
    ("unknown-value", {f"{FIELDS}.0.textAlignment": "right"}),
    ("unknown-value", {"storeCard.backFields.0.dataDetectorTypes": ["phone"]}),
    (
        "currency-with-number-style",
        {FIELD: {"key": "a", "value": 1, "currencyCode": "KZT", "numberStyle": "PKNumberStyleDecimal"}},
    ),
    ("bad-currency", {FIELD: {"key": "a", "value": 1, "currencyCode": "tenge"}}),
    ("number-as-text", {FIELD: {"key": "a", "value": "1", "currencyCode": "KZT"}}),
    ("markup-not-a-link", {"storeCard.backFields.0.attributedValue": "<b>Sale</b>"}),
    ("too-many-fields", {"storeCard.headerFields": many(4)}),
    ("too-many-front-fields", {"storeCard.auxiliaryFields": many(4)}),
    ("placement-wrong-style", {"storeCard.footerFields": many(1)}),
    ("transit-type", {"storeCard.transitType": "PKTransitTypeAir"}),
    ("barcode-unknown-format", {"barcodes.0.format": "PKBarcodeFormatEAN8"}),
    ("barcode-empty", {"barcodes.0.message": ""}),
    ("barcode-encoding", {"barcodes.0.messageEncoding": "klingon"}),
    ("barcode-encoding", {"barcodes.0.message": "карта"}),
    ("barcode-unfit", {"barcodes": [barcode("EAN13", "4006381333932"), barcode("QR", "4600")]}),
    ("barcode-without-fallback", {"barcodes": [barcode("EAN13", "4006381333931")]}),
    ("legacy-barcode", {"barcode": barcode("QR", "4600")}),
    ("too-many-locations", {"locations": [PLACE] * 11}),
    ("too-many-beacons", {"beacons": [BEACON] * 11}),
    ("bad-beacon", {"beacons.0.proximityUUID": "here"}),
    ("number-as-text", {"beacons.0.major": "1"}),
    ("number-as-text", {"locations.0.latitude": "43.2"}),
    ("bad-coordinate", {"locations.0.latitude": 143.2}),
    ("distance-as-text", {"maxDistance": "100"}),
    ("bad-distance", {"maxDistance": -1}),
    ("relevance-without-location", {"locations": None}),
    ("relevant-date-wrong-style", {"relevantDate": "2026-11-22T10:00:00Z"}),
    (
        "relevant-dates-shape",
        {"relevantDates": [{"date": "2026-11-22T10:00Z", "endDate": "2026-11-22T11:00Z"}]},
    ),
    ("number-as-text", {"semantics.duration": "60"}),
    ("bad-amount", {"semantics.balance": 12}),
    ("nfc-message-too-long", {"nfc.message": "ж" * 33}),
    ("nfc-message-empty", {"nfc.message": ""}),
    ("nfc-key-wrong", {"nfc.encryptionPublicKey": P384_KEY}),
    ("nfc-key-wrong", {"nfc.encryptionPublicKey": "-----BEGIN PUBLIC KEY-----"}),
]
TICKET = {"storeCard": None, "eventTicket": {}, "preferredStyleSchemes": ["posterEventTicket"]}
NAMED = {"semantics": {"eventName": "Concert", "venueName": "Hall"}}
PASS_FAULTS += [
    ("scheme-wrong-style", {"preferredStyleSchemes": ["semanticBoardingPass"]}),
    ("scheme-incomplete", TICKET | {"featuredActions": None}),
    ("scheme-incomplete", TICKET | NAMED | {"featuredActions": None, "nfc": None}),
    ("actions-wrong-style", TICKET | NAMED),
]
FILE_FAULTS = [
    ("icon-missing", dict.fromkeys(ICONS)),
    ("scale-missing", {"icon@2x.png": None}),
    ("image-wrong-size", {"icon.png": png(40, 40)}),
    ("image-wrong-size", {"logo.png": png(161, 50), "logo@2x.png": png(9, 9), "logo@3x.png": png(9, 9)}),
    ("image-broken", {"icon.png": b"GIF89a"}),
    ("image-wrong-style", {f"thumbnail{scale}.png": png(9, 9) for scale in ("", "@2x", "@3x")}),
    ("unsafe-file-name", {"../icon.png": ICONS["icon.png"]}),
    ("unsafe-file-name", {"ru.lproj/a b.png": ICONS["icon.png"]}),
    ("reserved-file-name", {"signature": b""}),
    ("unknown-file", {"readme.txt": b""}),
    ("unknown-file", {"hero.png": png(9, 9)}),
    ("strings-not-utf8", {"ru.lproj/pass.strings": '"a" = "б";'.encode("utf-16")}),
    ("strings-syntax", {"ru.lproj/pass.strings": b'"a" = "b";\n"c" = "d"\n'}),
]
TEMPLATE_FAULTS = [
    ("not-shown", TOML + BALANCE + NEWS + '[[fields]]\nkey="a"\nplacement="footer"\nvalue="x"', {}),
    (
        "unused-text",
        TOML + BALANCE + NEWS,
        {f"locales/{x}.toml": f'name = "{x}"\nmore = "y{x}"' for x in ("en", "ru")},
    ),
    ("no-news-field", TOML + BALANCE, {}),
    (
        "sample-incomplete",
        TOML + BALANCE + NEWS + '[[fields]]\nkey="a"\nplacement="back"\nvalue="{{ tier }}"',
        {},
    ),
    ("unknown-name", TOML + BALANCE.replace("points", "pionts"), {}),
    ("unknown-filter", TOML + BALANCE.replace("number", "numbr"), {}),
    ("text-not-allowed", TOML + BALANCE.replace("points|number", "points + 1"), {}),
    ("text-not-allowed", TOML + BALANCE, {"locales/ru.toml": 'name = "{{ points.real }}"'}),
    ("unknown-text", TOML.replace('"@name"', '"@nam"'), {}),
    (
        "ambiguous-text",
        TOML,
        {"locales/en.toml": 'name = "A"\nb = "A"', "locales/ru.toml": 'name = "Б"\nb = "В"'},
    ),
    ("unsafe-file-name", TOML + BALANCE + NEWS, {"images/my icon.png": ICONS["icon.png"]}),
    ("image-broken", TOML + BALANCE + NEWS, {"images/logo.png": b"no"}),
    ("duplicate-key", TOML + BALANCE + NEWS, {"apple.json": '{"voided": true, "voided": false}'}),
    ("template-invalid", TOML.replace("storeCard", "shopCard"), {}),
    ("template-invalid", TOML + 'colour = "red"', {}),
    ("template-invalid", TOML, {"sample.json": "{}"}),
    ("template-invalid", TOML, {"sample.json": "{"}),
    ("template-invalid", TOML, {"locales/ru.toml": None}),
    ("template-invalid", TOML, {"locales/ru.toml": "name = 1"}),
    ("template-invalid", TOML, {"images/de/logo.png": png(9, 9)}),
    ("template-invalid", TOML, {"images/logo.gif": b"GIF89a"}),
    ("template-invalid", TOML + "[stamps]", {}),
    ("template-invalid", TOML + '[google]\npoints = "balence"', {}),
]
CARD = TOML + BALANCE + NEWS
TEMPLATE_FAULTS += [
    ("google-json-part", CARD, {"google.json": '{"programName": "Card"}'}),
    ("google-unknown-field", CARD, {"google.json": '{"class": {"programname": "Card"}}'}),
    ("google-unknown-field", CARD, {"google.json": '{"object": {"state": "active"}}'}),
    ("google-missing-key", 'transit = "air"\n' + CARD.replace("storeCard", "boardingPass"), {}),
    ("google-long-text", CARD.replace('zation = "@name"', 'zation = "A name too long for a screen"'), {}),
    ("google-text-cut", f'{CARD}[[google.value_added]]\nheader="{"x" * 61}"\nurl="https://example.com"', {}),
    ("google-address", CARD + '[[google.links]]\nurl="example.com"\ntext="Shop"', {}),
    ("google-smart-tap", CARD + '[google.smart_tap]\nredemption_issuers=["1"]\nvalue="@name"', {}),
    ("google-class-by", CARD.replace('zation = "@name"', 'zation = "Shop {{ answer_level }}"'), {}),
    ("google-image-missing", CARD + '[[google.images]]\nfile="menu.png"\ntext="Menu"', {}),
    ("google-image-size", CARD, {"images/google/logo.png": png(660, 600)}),
    ("google-image-size", CARD, {"images/google/hero.png": png(1032, 500)}),
]


def codes(problems: list) -> set[str]:
    return {problem.code for problem in problems}


def test_the_valid_pass_has_no_fault():
    assert check_pass_json(VALID, ICONS) == []


@pytest.mark.parametrize(("code", "changes"), PASS_FAULTS)
def test_a_fault_of_pass_json_is_named(code, changes):
    assert codes(check_pass_json(changed(changes), ICONS)) == {code}


@pytest.mark.parametrize(("code", "changes"), FILE_FAULTS)
def test_a_fault_of_the_files_is_named(code, changes):
    files = {path: data for path, data in {**ICONS, **changes}.items() if data is not None}

    assert codes(check_pass_json(VALID, files)) == {code}


@pytest.mark.parametrize(("code", "toml", "files"), TEMPLATE_FAULTS)
def test_a_fault_of_a_template_is_named(tmp_path, code, toml, files):
    assert codes(check_folder(write_template(tmp_path, toml, **files))) == {code}


def test_what_only_google_misses_is_an_error_where_the_template_speaks_to_google(tmp_path):
    ticket = 'transit = "air"\n' + TOML.replace("storeCard", "boardingPass") + BALANCE + NEWS

    for_apple = check_folder(write_template(tmp_path / "a", ticket))
    for_both = check_folder(write_template(tmp_path / "b", ticket + "[google]\nshimmer = true"))

    assert {problem.level for problem in for_apple} == {"warning"}
    assert {problem.level for problem in for_both} == {"error"}


def test_a_poster_needs_its_generic_twin():
    poster = changed({"storeCard": None, "posterGeneric": {"primaryFields": many(1)}})

    assert codes(check_pass_json(poster, ICONS)) == {"poster-without-generic"}


def test_a_boarding_pass_needs_to_say_what_boards():
    boarding = changed({"storeCard": None, "boardingPass": {"primaryFields": many(2)}})

    assert codes(check_pass_json(boarding, ICONS)) == {"transit-type"}


def test_every_code_of_the_lint_has_its_fault_here():
    named = {code for code, *_ in [*PASS_FAULTS, *FILE_FAULTS, *TEMPLATE_FAULTS]} | {"poster-without-generic"}
    source = "".join(path.read_text() for path in LINT.glob("*.py"))

    assert set(re.findall(r'(?:error|warning)\(\s*"([a-z0-9-]+)"', source)) <= named


@pytest.mark.parametrize("hostile", [None, 1, "x", [], [1], [None], {}, {"a": 1}, True, -1.5])
def test_no_type_in_any_place_breaks_the_lint(hostile):
    for key, value in VALID.items():
        check_pass_json(changed({key: hostile}), ICONS)
        for inner in value if isinstance(value, dict) else ():
            check_pass_json(changed({f"{key}.{inner}": hostile}), ICONS)
    for key in ("key", "value", "changeMessage", "dataDetectorTypes", "attributedValue", "dateStyle"):
        check_pass_json(changed({f"storeCard.backFields.0.{key}": hostile or 0}), ICONS)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    outside = tmp_path / "secret.png"
    outside.write_bytes(ICONS["icon.png"])
    folder = write_template(tmp_path / "card")
    (folder / "images" / "logo.png").symlink_to(outside)

    assert codes(check_folder(folder)) == {"unsafe-file-name"}


@pytest.mark.parametrize("name", ["coffee", "school", "stamps"])
def test_the_shipped_templates_have_no_fault(name):
    assert check(load_template(TEMPLATES / name)) == []


def test_a_fault_says_where_it_is_and_what_to_do(tmp_path):
    (problem,) = check_folder(write_template(tmp_path, TOML + BALANCE.replace("points", "pionts")))

    assert problem.where.endswith("template.toml: fields.0.value")
    assert "'pionts'" in problem.text
    assert "sample.json" in problem.text


def test_every_code_and_every_filter_is_in_the_readme():
    readme = (TEMPLATES / "README.md").read_text()
    named = {code for code, *_ in [*PASS_FAULTS, *FILE_FAULTS, *TEMPLATE_FAULTS]}

    assert named <= set(re.findall(r"`([a-z0-9-]+)`", readme))
    assert set(FILTERS) <= set(re.findall(r"`([a-z_]+)[`(]", readme))
