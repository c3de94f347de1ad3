"""The table of Google's fields, and the check that stands between a body and Google."""

import json

import pytest

from app.wallets.google import schema
from tests.wallets.google.schema_table import TARGET, schema_table


def test_the_table_is_what_googles_discovery_document_says():
    assert json.loads(TARGET.read_text("utf-8")) == schema_table()


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("programname", {"programname": "Coffee"}),
        ("program_name", {"program_name": "Coffee"}),
        ("programLogo.sourceUrl", {"programLogo": {"sourceUrl": {"uri": "https://example.com"}}}),
        ("textModulesData[1].text", {"textModulesData": [{"id": "a", "body": "b"}, {"text": "c"}]}),
        ("textModulesData", {"textModulesData": {"id": "a"}}),
        ("textModulesData[0]", {"textModulesData": ["a"]}),
        ("programLogo", {"programLogo": "logo.png"}),
        ("programName", {"programName": 4}),
        ("enableSmartTap", {"enableSmartTap": "true"}),
        ("merchantLocations[0].latitude", {"merchantLocations": [{"latitude": "43.2", "longitude": 76.9}]}),
        ("valueAddedModuleData[0].sortIndex", {"valueAddedModuleData": [{"sortIndex": True}]}),
        ("reviewStatus", {"reviewStatus": "underReview"}),
        ("wordMark", {"wordMark": {"sourceUri": {"uri": "https://example.com"}}}),
        ("kind", {"kind": "walletobjects#loyaltyClass"}),
    ],
)
def test_what_google_would_drop_or_refuse_is_named_by_its_path(where, body):
    assert [fault.where for fault in schema.faults("LoyaltyClass", body)] == [where]


@pytest.mark.parametrize(("micros", "is_right"), [("1500000", True), (1500000, False), ("1.5", False)])
def test_amounts_are_whole_numbers_in_quotes(micros, is_right):
    body = {"loyaltyPoints": {"balance": {"money": {"micros": micros, "currencyCode": "KZT"}}}}

    assert (not list(schema.faults("LoyaltyObject", body))) == is_right


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (
            {"state": "ACTIVE", "barcode": None, "hasUsers": True, "notifyPreference": "NOTIFY_ON_UPDATE"},
            None,
        ),
        ({"messages": [{"kind": "walletobjects#walletObjectMessage", "id": "a"}]}, None),
        ({"points": 5}, "points"),
        ({"messages": [{"id": "a"}, {"bodyText": "b"}]}, "messages.bodyText"),
        ({"loyaltyPoints": {"balance": {"integer": 5}}}, "loyaltyPoints.balance.integer"),
    ],
)
def test_a_field_google_would_drop_stops_a_body_before_it_is_sent(body, field):
    assert schema.unknown_field("loyaltyObject", body) == field
