"""Google's class and object, from a template and a member's content."""

from datetime import UTC, datetime

import pytest

from tests.wallets.google.conftest import ISSUER, SERIAL, SHIPPED, URL, bodies
from tests.wallets.google.discovery import assert_valid
from tests.wallets.passes import BALANCE, NEWS, TOML, png

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIER = '[[fields]]\nkey="tier"\nplacement="header"\nlabel="@level"\nvalue="{{ tier }}"\n'


def texts_of(body: dict) -> dict[str, str]:
    """The text modules of a body by id, in its first language."""
    return {
        each["id"]: each.get("body") or each["localizedBody"]["defaultValue"]["value"]
        for each in body.get("textModulesData", [])
    }


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_template_is_a_loyalty_card_as_google_describes_it(name, language):
    class_, object_ = bodies(SHIPPED[name], language)

    assert_valid("loyalty", "Class", class_)
    assert_valid("loyalty", "Object", object_)
    assert {"issuerName", "programName", "programLogo", "reviewStatus"} <= class_.keys()
    assert {"state", "loyaltyPoints", "barcode", "accountId"} <= object_.keys()


def test_the_object_is_of_the_class_and_both_are_the_issuers():
    class_, object_ = bodies(SHIPPED["coffee"])

    assert class_["id"] == object_["classId"] == f"{ISSUER}.coffee.coffee.loyalty"
    assert object_["id"] == f"{ISSUER}.{SERIAL}"
    assert class_["callbackOptions"] == {"url": f"{URL}/google/callback"}


def test_the_balance_and_the_tier_stand_where_google_rings_for_a_change():
    _, object_ = bodies(SHIPPED["coffee"], "ru", points=12401, tier="Платина")

    assert object_["loyaltyPoints"]["balance"] == {"string": "12\N{NO-BREAK SPACE}401"}
    assert object_["loyaltyPoints"]["localizedLabel"]["defaultValue"] == {"language": "ru", "value": "Баллы"}
    assert object_["secondaryLoyaltyPoints"]["balance"] == {"string": "Платина"}


def test_a_plain_number_stays_one_until_it_is_too_large(written):
    template = written(TOML + BALANCE.replace("points|number", "points"))

    assert bodies(template, points=2350)[1]["loyaltyPoints"]["balance"] == {"int": 2350}
    assert bodies(template, points=2**31)[1]["loyaltyPoints"]["balance"] == {"string": "2147483648"}


def test_money_goes_out_in_millionths_as_text(written):
    template = written(TOML + BALANCE.replace("points|number", "points") + 'format = { currency = "KZT" }')

    balance = bodies(template, points="12.5")[1]["loyaltyPoints"]["balance"]

    assert balance == {"money": {"micros": "12500000", "currencyCode": "KZT"}}


def test_what_all_members_share_is_on_the_class_in_every_language():
    class_, object_ = bodies(SHIPPED["coffee"], "ru")

    how = next(each for each in class_["textModulesData"] if each["id"] == "how")
    assert how["localizedHeader"] == {
        "defaultValue": {"language": "ru", "value": "Как это работает"},
        "translatedValues": [{"language": "en", "value": "How it works"}],
    }
    assert how.keys() == {"id", "localizedHeader", "localizedBody"}  # beside a plain text both would show
    assert "how" not in texts_of(object_)


def test_a_text_that_says_nothing_is_no_module():
    assert "news" in texts_of(bodies(SHIPPED["coffee"], message="До завтра")[1])
    assert "news" not in texts_of(bodies(SHIPPED["coffee"], message="")[1])


def test_the_front_of_the_card_is_rows_that_point_at_what_is_there():
    class_, object_ = bodies(SHIPPED["school"])

    rows = class_["classTemplateInfo"]["cardTemplateOverride"]["cardRowTemplateInfos"]
    paths = [
        item["firstValue"]["fields"][0]["fieldPath"]
        for row in rows
        for items in row.values()
        for item in items.values()
    ]
    assert paths == [
        "object.loyaltyPoints.balance",
        "object.secondaryLoyaltyPoints.balance",
        "object.textModulesData['member']",
        "object.textModulesData['level']",
    ]
    assert {"member", "level"} <= texts_of(object_).keys()


def test_a_voided_pass_is_inactive_and_one_with_an_end_tells_google_when():
    _, fresh = bodies(SHIPPED["coffee"])
    _, voided = bodies(SHIPPED["coffee"], voided=True, expires_at=NOON)

    assert fresh["state"] == "ACTIVE"
    assert "validTimeInterval" not in fresh
    assert voided["state"] == "INACTIVE"
    assert voided["validTimeInterval"] == {"end": {"date": "2026-11-22T17:00:00+05:00"}}


def test_the_stamps_of_a_card_are_a_picture_of_their_own_for_each_count(wallet):
    heroes = [bodies(SHIPPED["stamps"], points=points)[1]["heroImage"] for points in (3, 4, 10, 11)]

    addresses = [hero["sourceUri"]["uri"] for hero in heroes]
    assert len({*addresses}) == 3  # the eleventh stamp has no place
    for address in addresses:
        digest = address.removeprefix(f"{URL}/images/").removesuffix(".png")
        assert wallet.images.find(digest).startswith(b"\x89PNG")


def test_hostile_values_are_shown_as_they_are():
    _, object_ = bodies(SHIPPED["coffee"], member_name='Иван "}]{{ 9*9 }}\u202e')

    assert object_["accountName"] == 'Иван "}]{{ 9*9 }}'


def test_google_json_is_merged_last_with_texts_pictures_and_addresses_in_short(written):
    over = """{
      "class": {"rewardsTier": "@name", "localizedRewardsTier": "@name", "homepageUri": "https://example.com",
                "wideProgramLogo": "wide.png", "countryCode": null},
      "object": {"textModulesData": [{"id": "a", "body": "{{ points|number }}"}]}
    }"""
    template = written(
        TOML + BALANCE + NEWS, **{"google.json": over, "images/google/wide.png": png(1280, 400)}
    )

    class_, object_ = bodies(template)

    assert class_["rewardsTier"] == "Карта"
    assert class_["localizedRewardsTier"]["translatedValues"] == [{"language": "en", "value": "Card"}]
    assert class_["homepageUri"] == {"uri": "https://example.com"}
    assert class_["wideProgramLogo"]["sourceUri"]["uri"].startswith(f"{URL}/images/")
    assert "countryCode" not in class_
    assert object_["textModulesData"] == [{"id": "a", "body": "8"}]
    assert_valid("loyalty", "Class", class_)
