"""What the lock screen says, and in which language."""

import pytest

from app.simulators.iphone.opening import OpenedPass
from app.simulators.iphone.showing import format_value, notification, strings_of


def card(*fields, files=None, **groups):
    style = {"primaryFields": list(fields)} | groups
    pass_json = {"organizationName": "Coffee House", "serialNumber": "1", "storeCard": style}
    return OpenedPass(pass_json, files or {})


def points(value, message="You have %@ points", **keys):
    return {"key": "points", "value": value, "changeMessage": message} | keys


def said(old, new, locale="en"):
    shown = notification(old, new, locale)
    return shown and shown.text


def test_a_changed_value_is_announced_with_the_organisation_as_title():
    shown = notification(card(points(5)), card(points(10)), "en")

    assert (shown.title, shown.text, shown.field) == ("Coffee House", "You have 10 points", "points")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (card(points(5)), card(points(5))),
        (card(points(5)), card(points(5, "Another message %@"))),
        (card(points(5, "")), card(points(10, ""))),
        (card({"key": "tier", "value": "a"}), card({"key": "tier", "value": "b"})),
        (card({"key": "tier", "value": "a"}), card(points(10))),
        (card(points("news", "%@")), card(points("", "%@"))),
    ],
)
def test_without_a_changed_value_and_a_message_the_phone_stays_silent(old, new):
    assert notification(old, new, "en") is None


def test_of_several_changes_the_first_in_the_pass_is_announced():
    news = {"key": "news", "value": "old", "changeMessage": "%@"}
    old = card(points(5), backFields=[news])
    new = card(points(6), backFields=[news | {"value": "new"}])

    assert said(old, new) == "You have 6 points"


def test_a_message_without_a_place_for_the_value_only_says_that_something_changed():
    assert said(card(points(5, "Look")), card(points(6, "Look"))) == "Pass changed"


@pytest.mark.parametrize(
    ("field", "locale", "text"),
    [
        ({"value": 1234.5, "currencyCode": "RUB"}, "ru", "1\xa0234,50\xa0₽"),
        ({"value": 1234.5, "currencyCode": "USD"}, "en", "$1,234.50"),
        ({"value": 1234567, "numberStyle": "PKNumberStyleDecimal"}, "en", "1,234,567"),
        ({"value": 0.25, "numberStyle": "PKNumberStylePercent"}, "en", "25%"),
        ({"value": 7}, "ru", "7"),
        ({"value": "2030-06-03T12:00:00+03:00", "dateStyle": "PKDateStyleLong"}, "en", "June 3, 2030"),
        ({"value": "2030-06-03T12:00:00+03:00", "dateStyle": "PKDateStyleLong"}, "ru", "3 июня 2030\u202fг."),
        (
            {
                "value": "2030-06-03T12:05:00Z",
                "dateStyle": "PKDateStyleNone",
                "timeStyle": "PKDateStyleShort",
            },
            "ru",
            "12:05",
        ),
        ({"value": "Gold"}, "xx-unknown", "Gold"),
    ],
)
def test_values_are_written_as_the_phone_writes_them(field, locale, text):
    assert format_value(field, locale, {}) == text


STRINGS = '/* labels */\n"You have %@ points" = "У вас %@ баллов";\n"Gold" = "Золото \\"1\\"\\n";\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_fixed_texts_follow_the_language_of_the_phone(encoding):
    files = {"ru.lproj/pass.strings": STRINGS.encode(encoding)}
    new = card(points(6), files=files)

    assert said(card(points(5)), new, "ru-KZ") == "У вас 6 баллов"
    assert said(card(points(5)), new, "en") == "You have 6 points"
    assert strings_of(new, "ru")["Gold"] == 'Золото "1"\n'
