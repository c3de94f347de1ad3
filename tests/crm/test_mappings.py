"""The mappings of docs/how-to/crm.md, as they stand there, read what those systems send."""

import json
import re
from pathlib import Path

import pytest

from app.crm import BadSourceSettings, Delivery, Unreadable, generic
from app.crm.events import CardWanted, Person, PointsMoved, PurchaseChanged
from tests.crm.senders import FORM, fixture
from tests.make import NOON

PAGE = Path(__file__).parents[2] / "docs/how-to/crm.md"
MAPPINGS = {
    name: json.loads(text)
    for name, text in re.findall(r"```json (\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.S)
}
PHONE = "+7 (916) 123-45-67"


def sent(body, content_type="application/json", **given):
    fields = {"url": "http://test/hooks/x", "token": "", "headers": {"content-type": content_type}}
    return Delivery(**fields | given, body=body, received_at=NOON)


def test_tildas_form_joins_and_its_cart_is_a_purchase():
    form = sent(fixture("generic/tilda.form"), FORM)

    assert generic.parse(form, MAPPINGS["tilda"]) == [
        CardWanted(Person(phone=PHONE, name="Анна", email="anna@example.com")),
        PurchaseChanged("order:1546298135", Person(phone=PHONE), "2000", reason="Order 1546298135"),
    ]
    assert generic.event_id(form, MAPPINGS["tilda"]) == "1234567:1001"
    assert generic.parse(sent(b"test=test", FORM), MAPPINGS["tilda"]) == []  # what Tilda asks first


def test_iikos_closed_order_is_a_purchase():
    assert generic.parse(sent(fixture("generic/iiko.json")), MAPPINGS["iiko"]) == [
        PurchaseChanged(
            "order:497f6eca-6276-4993-bfeb-53cbbbba6f08",
            Person(phone="+79161234567"),
            "2000.0",
            reason="Order 42",
        )
    ]


def test_a_posted_document_of_1c_is_a_purchase_and_worth_nothing_once_it_is_not():
    posted = fixture("generic/1c.json")
    (sale,) = generic.parse(sent(posted), MAPPINGS["1c"])
    (undone,) = generic.parse(sent(posted.replace(b"true", b"false")), MAPPINGS["1c"])

    assert (sale.amount, sale.currency, sale.person.contact) == ("2000", "RUB", "contact:000004711")
    assert (undone.amount, undone.reference) == ("0", sale.reference)


def test_a_check_of_r_keeper_earns_and_spends():
    earned, spent = generic.parse(sent(fixture("generic/r_keeper.json")), MAPPINGS["r_keeper"])

    assert isinstance(earned, PurchaseChanged)
    assert spent == PointsMoved(
        "check:{D2E1}:bonus", Person(card_number="4000123"), "-150", "Check 1.42", spent=True
    )


@pytest.mark.parametrize("name", MAPPINGS)
def test_every_mapping_on_the_page_is_accepted(name):
    generic.check_settings(MAPPINGS[name])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rules": []},
        {"rules": [{"event": "points", "phone": "{phone}"}]},
        {"rules": [{"event": "purchase", "reference": "{id}", "amount": "{sum}"}]},
        {"rules": [{"event": "explode", "phone": "{phone}"}]},
        {"rules": [{"event": "contact", "phone": "{phone}", "when": "x"}]},
        {"rules": [{"event": "contact", "phone": "{phone}"}], "proof": "none"},
        {"rules": [{"event": "contact", "phone": "{phone}"}], "signature_header": "X Y"},
    ],
)
def test_a_mapping_that_cannot_work_is_refused(settings):
    with pytest.raises(BadSourceSettings):
        generic.check_settings(settings)


def test_a_reference_with_a_hole_is_unreadable():
    with pytest.raises(Unreadable, match="reference"):
        generic.parse(sent(b'{"type": "check.closed", "check": {"total": 1}}'), MAPPINGS["r_keeper"])


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ({"authorization": "the-secret-token"}, True),
        ({"authorization": "Bearer the-secret-token"}, True),
        ({"authorization": "the-secret"}, False),
        ({"authorization": ""}, False),
        ({}, False),
    ],
)
def test_a_secret_in_a_header_is_compared_whole(given, is_right):
    assert generic.is_authentic(sent(b"", headers=given), ["the-secret-token"], MAPPINGS["iiko"]) is is_right
