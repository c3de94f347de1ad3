import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.sms import BadReceipt, Balance, CannotAsk, OutcomeUnknown, Receipt, SendResult, Sms
from app.channels.sms.generic_http import Account, Gateway, GenericHttp
from app.channels.sms.placeholders import WrongTemplate, fill
from app.errors import PermanentFailure, TemporaryFailure
from app.simulators.sms_gateway import SmsGateway, running
from tests.channels.sms.gateways import PHONE, SECRET, SMS, answering, generic

TRICKY = '", "to": "+70000000000" {api_key} {{text}} %7B \\ \n & = {password}'


@asynccontextmanager
async def _simulated(**changes):
    gateway = SmsGateway(api_key=SECRET)
    async with running(gateway) as url:
        provider = generic(url, **changes)
        yield gateway, provider
        await provider.close()


async def test_the_simulated_gateway_takes_the_default_template():
    async with _simulated(sender="DALA") as (gateway, provider), gateway.inbox(PHONE) as inbox:
        result = await provider.send(SMS)
        shown = await inbox.get()
        found = await provider.find("msg_1")

        assert result == SendResult(shown.id, 1, Decimal("4.50"), "RUB")
        assert (shown.sender, shown.text) == ("DALA", SMS.text)
        assert found == result
        assert await provider.find("msg_2") is None
        assert await provider.balance() == Balance(Decimal("9995.50"), "RUB")


async def test_an_unanswered_text_is_found_afterwards():
    async with _simulated(deadline_seconds=0.3) as (gateway, provider):
        with pytest.raises(OutcomeUnknown):
            await provider.send(replace(SMS, recipient="+77011234502"))

        found = await provider.find("msg_1")

    assert found is not None
    assert found.provider_id == gateway.received("+77011234502")[0].id


@pytest.mark.parametrize(
    ("phone", "failure"), [("+77011234501", TemporaryFailure), ("+77011234503", PermanentFailure)]
)
async def test_a_text_the_simulated_gateway_refuses_reaches_no_phone(phone, failure):
    async with _simulated() as (gateway, provider):
        with pytest.raises(failure):
            await provider.send(replace(SMS, recipient=phone))

        assert gateway.received(phone) == []


async def test_a_wrong_key_is_final():
    gateway = SmsGateway(api_key="another")
    async with running(gateway) as url:
        provider = generic(url)
        with pytest.raises(PermanentFailure, match="401"):
            await provider.send(SMS)
        await provider.close()


@pytest.mark.parametrize("body_as", ["json", "form", "query"])
async def test_a_text_with_quotes_and_placeholders_stays_text(body_as):
    template = {"phone": "{recipient_digits}", "msg": "{text}", "key": "k={api_key}", "from": "{sender}"}
    async with answering({"id": 1}) as (url, script):
        provider = generic(url, Gateway(url=url, body=template, body_as=body_as))
        await provider.send(Sms(PHONE, TRICKY, "msg_1", sender="{text}"))
        await provider.close()

    seen = script.seen[0]
    sent = {"json": lambda: seen.json, "form": lambda: seen.form, "query": lambda: seen.query}[body_as]()
    assert sent == {"phone": PHONE[1:], "msg": TRICKY, "key": f"k={SECRET}", "from": "{text}"}


async def test_a_value_in_an_address_adds_no_path_and_no_parameter():
    async with answering({"id": 1}) as (url, script):
        template = Gateway(url=f"{url}/send/{{client_id}}?text={{text}}", method="GET", body=None)
        provider = generic(url, template)
        await provider.send(Sms(PHONE, "a&to=b/../#?", "../x y"))
        await provider.close()

    assert script.seen[0].query == {"text": "a&to=b/../#?"}
    assert script.seen[0].path == "/send/../x y"


async def test_a_missing_sender_is_left_out():
    async with answering({"id": 1}) as (url, script):
        provider = generic(url)
        await provider.send(SMS)
        await provider.close()

    assert script.seen[0].json == {"to": PHONE, "text": SMS.text, "client_id": "msg_1"}


async def test_an_answer_is_read_by_paths():
    answer = {"code": 0, "data": {"messages": [{"id": 77, "parts": "2", "price": 8.4, "unit": "tenge"}]}}
    gateway = {
        "id_path": "data.messages.0.id",
        "segments_path": "data.messages.0.parts",
        "cost_path": "data.messages.0.price",
        "currency_path": "data.messages.0.unit",
        "error_path": "code",
    }
    async with answering(answer) as (url, _):
        provider = generic(url, Gateway(url=url, **gateway))
        result = await provider.send(SMS)
        await provider.close()

    assert result == SendResult("77", 2, Decimal("8.4"), "KZT")


async def test_parts_are_counted_here_where_the_gateway_does_not_tell_them():
    async with answering({"id": "x"}) as (url, _):
        provider = generic(url)
        result = await provider.send(replace(SMS, text="я" * 71))
        await provider.close()

    assert result == SendResult("x", 2, None, "KZT")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("busy", TemporaryFailure),
        (30, TemporaryFailure),
        ("no such number", PermanentFailure),
        (7, PermanentFailure),
        ({"why": "x"}, PermanentFailure),
    ],
)
async def test_an_error_inside_a_success_has_its_outcome(error, failure):
    async with answering({"error": error, "id": "x"}) as (url, _):
        gateway = Gateway(url=url, temporary_errors=frozenset({"busy", "30"}))
        provider = generic(url, gateway)
        with pytest.raises(failure):
            await provider.send(SMS)
        await provider.close()


async def test_without_addresses_there_is_nothing_to_ask():
    provider = generic("http://unused.example", Gateway(url="http://unused.example"))
    with pytest.raises(CannotAsk):
        await provider.find("msg_1")
    assert await provider.balance() is None
    await provider.close()


@pytest.mark.parametrize("status", [401, 403, 422])
async def test_a_refused_question_is_not_taken_for_not_found(status):
    async with answering({}, status) as (url, _):
        provider = generic(url)
        with pytest.raises(PermanentFailure):
            await provider.find("msg_1")
        await provider.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://h/{token}"}, "url: unknown {token}"),
        ({"body": {"a": ["{phone}"]}}, "body: unknown {phone}"),
        ({"headers": {"X-Text": "{text}"}}, "headers: unknown {text}"),
        ({"find_url": "http://h/{text}"}, "find_url: unknown {text}"),
        ({"id_path": ""}, "id_path: say where"),
        ({"body_as": "form", "body": {"to": {"deep": "{recipient}"}}}, "body: a form is"),
        ({"body_as": "query", "body": ["{text}"]}, "body: a query is"),
    ],
)
def test_a_description_that_cannot_work_is_refused_at_once(change, words):
    with pytest.raises(WrongTemplate) as wrong:
        GenericHttp(Gateway(**({"url": "http://h"} | change)), Account(), sender=None, currency="RUB")

    assert str(wrong.value).startswith(words)


@given(st.text(), st.text())
def test_whatever_the_text_its_field_holds_it_and_no_other_does(text, sender):
    values = {"text": text, "sender": sender, "api_key": "k"}

    filled = fill({"a": "{text}", "b": ["<{sender}>", 5, None], "c": "{api_key}"}, values)

    assert filled == {"a": text, "b": [f"<{sender}>", 5, None], "c": "k"}


async def _parse(body, content_type="application/json", query=None, **gateway):
    provider = generic("http://unused.example", Gateway(url="http://unused.example", **gateway))
    await provider.close()
    return provider.parse_receipt(body, {"content-type": content_type}, query or {})


async def test_the_simulated_gateways_receipt_is_read():
    body = (
        b'{"id": "a1", "client_id": "msg_1", "status": "failed", "error": "absent +77011234567",'
        b' "at": "2026-11-22T18:00:00+05:00"}'
    )

    receipts = await _parse(body)

    assert receipts == [Receipt("a1", "failed", "absent …67", datetime(2026, 11, 22, 13, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        ("2026-11-22T13:00:00Z", datetime(2026, 11, 22, 13, tzinfo=UTC)),
        (1679060876, datetime(2023, 3, 17, 13, 47, 56, tzinfo=UTC)),
        ("2026-11-22T13:00:00", None),  # whose clock?
        ("0001-01-01T00:00:00+14:00", None),
        (99_999_999_999_999, None),
        ("yesterday", None),
        ([], None),
    ],
)
async def test_a_moment_nobody_can_place_is_left_out(at, moment):
    receipts = await _parse(json.dumps({"id": "a1", "status": "sent", "at": at}).encode())

    assert receipts == [Receipt("a1", "sent", None, moment)]


async def test_receipts_come_as_lists_forms_and_queries_too():
    states = {"DELIVRD": "delivered", "UNDELIV": "failed"}
    many = b'{"reports": [{"id": 1, "status": "DELIVRD"}, {"id": 2, "status": "UNDELIV", "error": 0}]}'

    listed = await _parse(many, receipt_list_path="reports", receipt_states=states)
    form = await _parse(b"id=3&status=DELIVRD&at=1679060876", "text/plain", receipt_states=states)
    query = await _parse(b"", "", {"id": "4", "status": "UNDELIV"}, receipt_states=states)

    assert listed == [Receipt("1", "delivered"), Receipt("2", "failed")]
    assert form == [Receipt("3", "delivered", None, datetime(2023, 3, 17, 13, 47, 56, tzinfo=UTC))]
    assert query == [Receipt("4", "failed")]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"5", b"{}", b'{"id": "a"}', b'{"id": {}, "status": "sent"}', b"[" * 99_999, b"[1]"]
)
async def test_what_is_no_receipt_is_refused(body):
    with pytest.raises(BadReceipt):
        await _parse(body)


async def test_sends_at_the_same_time_do_not_wait_for_each_other():
    async with _simulated() as (gateway, provider):
        texts = [replace(SMS, client_id=f"msg_{n}", text=f"{n}") for n in range(30)]
        results = await asyncio.gather(*(provider.send(sms) for sms in texts))

        assert len({result.provider_id for result in results}) == 30
        assert {sms.text for sms in gateway.received(PHONE)} == {str(n) for n in range(30)}
