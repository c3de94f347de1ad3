"""What each vendor signs and says, by its documented payloads."""

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.crm import BadSourceSettings, Unreadable, hubspot, kommo, shopify
from app.crm.events import ContactChanged, DealTouched, Person, PurchaseChanged, PurchaseReturned
from app.crm.form_body import at, read_form, text_at
from tests.crm.senders import SECRETS, delivery, fixture
from tests.make import NOON

ANNA = Person(
    contact="customer:115310627314723954",
    phone="+7 (916) 123-45-67",
    name="Анна Петрова",
    email="john@example.com",
)


def shopify_event(name, topic):
    (event,) = shopify.parse(delivery("shopify", fixture(f"shopify/{name}.json"), topic=topic), {})
    return event


def test_a_paid_order_of_shopify_is_a_purchase():
    assert shopify_event("orders_paid", "orders/paid") == PurchaseChanged(
        "order:820982911946154508",
        ANNA,
        "2000.00",
        currency="RUB",
        reason="Order #9999",
        as_of=datetime(2030, 6, 3, 12, 0, tzinfo=UTC),
    )


def test_a_cancelled_order_is_worth_nothing():
    assert shopify_event("orders_cancelled", "orders/cancelled").amount == "0"


def test_a_refund_is_worth_what_was_really_paid_back():
    assert shopify_event("refunds_create", "refunds/create") == PurchaseReturned(
        "order:820982911946154508", "refund:890088186047892319", "500.00", currency="RUB"
    )


def test_a_changed_customer_is_a_changed_contact():
    changed = shopify_event("customers_update", "customers/update")

    assert isinstance(changed, ContactChanged)
    assert (changed.person.contact, changed.person.phone) == (ANNA.contact, "+79161234567")
    assert changed.person.email == "anna@example.com"


def test_topics_that_do_not_concern_us_say_nothing():
    assert shopify.parse(delivery("shopify", b"{}", topic="app/uninstalled"), {}) == []


def test_one_event_of_shopify_has_one_id_over_all_its_deliveries():
    sent = delivery("shopify", b"{}", topic="orders/paid")

    assert shopify.event_id(sent, {}) == "orders/paid:evt-1"
    assert (
        shopify.event_id(replace(sent, headers={"x-shopify-topic": "a", "x-shopify-webhook-id": "w"}), {})
        == "a:w"
    )


def test_hubspots_three_signatures_are_each_accepted_and_nothing_else():
    body, secret = fixture("hubspot/deal_and_contact.json"), SECRETS["hubspot"]
    sent = delivery("hubspot", body)
    whole = b"POST" + sent.url.encode() + body
    stamp = str(int(NOON.timestamp() * 1000))
    third = b64encode(hmac.digest(secret.encode(), whole + stamp.encode(), "sha256")).decode()
    second = hashlib.sha256(secret.encode() + whole).hexdigest()
    v2 = {"x-hubspot-signature": second, "x-hubspot-signature-version": "v2"}
    v3 = {"x-hubspot-signature-v3": third, "x-hubspot-request-timestamp": stamp}
    late = v3 | {"x-hubspot-request-timestamp": str(int(stamp) - 301_000)}

    def accepts(headers):
        return hubspot.is_authentic(replace(sent, headers=headers), [secret], {})

    assert [accepts(each) for each in (sent.headers, v2, v3)] == [True, True, True]
    # A wrong third signature is not made good by a right first one.
    wrong_third = {**sent.headers, "x-hubspot-signature-v3": "x", "x-hubspot-request-timestamp": stamp}
    assert [
        accepts(each) for each in (late, wrong_third, {}, v2 | {"x-hubspot-signature-version": "v1"})
    ] == [False] * 4


def test_hubspot_names_a_deal_once_and_says_a_contacts_new_value():
    events = hubspot.parse(delivery("hubspot", fixture("hubspot/deal_and_contact.json")), {})

    assert events == [
        DealTouched("7405"),
        ContactChanged(Person(contact="contact:501", email="anna@example.com")),
    ]


def test_kommo_names_the_lead_and_the_account_must_be_ours():
    sent = delivery("kommo", fixture("kommo/lead_status.form"))

    assert kommo.parse(sent, {"api_url": "https://x"}) == [DealTouched("7405")]
    assert kommo.parse(sent, {"api_url": "https://x", "subdomain": "another"}) == []


def test_kommos_contact_has_its_phone():
    (event,) = kommo.parse(delivery("kommo", fixture("kommo/contact_update.form")), {})

    assert event == ContactChanged(Person(contact="contact:501", phone="89161234567", name="Анна Петрова"))


@pytest.mark.parametrize(
    ("crm", "settings"),
    [(shopify, {"x": 1}), (hubspot, {"x": 1}), (kommo, {}), (kommo, {"api_url": "ftp://x"})],
)
def test_settings_that_cannot_work_are_refused(crm, settings):
    with pytest.raises(BadSourceSettings):
        crm.check_settings(settings)


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("crm", [shopify, hubspot])
def test_a_body_that_makes_no_sense_is_unreadable_and_nothing_worse(crm, body):
    with pytest.raises(Unreadable):
        crm.parse(delivery("shopify", body, topic="orders/paid"), {})


def test_php_fields_become_a_tree():
    tree = read_form(b"a[b][0][c]=1&a[b][1][c]=2&x=&a[b][1][d]=%D0%90&y=1&y=2&z[]=3&q]=4")

    assert at(tree, "a.b") == {"0": {"c": "1"}, "1": {"c": "2", "d": "А"}}
    assert [text_at(tree, path) for path in ("x", "y", "$.a.b[1].c", "a.b.7.c", "x.y")] == [
        None,
        "2",
        "2",
        None,
        None,
    ]


@pytest.mark.parametrize("body", [b"\xff", b"a" + b"[x]" * 50 + b"=1", b"&".join([b"a=1"] * 6000)])
def test_a_form_that_makes_no_sense_is_unreadable(body):
    with pytest.raises(Unreadable):
        read_form(body)
