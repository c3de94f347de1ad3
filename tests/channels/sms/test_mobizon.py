import json
from decimal import Decimal
from hashlib import sha1

import pytest

from app.channels.sms import BadReceipt, Balance, OutcomeUnknown, Receipt, SendResult
from app.errors import PermanentFailure, TemporaryFailure
from tests.channels.sms.gateways import PHONE, SECRET, SMS, answering, mobizon

REPORT = {  # the documentation's own example
    "eventId": 26,
    "eventType": "sms-delivery-report",
    "eventCreateTs": "2026-01-15 11:42:28",
    "webhookId": 1,
    "attempt": 1,
    "data": {
        "campaignId": 245455096,
        "messageId": 169275418,
        "segNum": 3,
        "statusUpdateTs": "2026-01-15 11:42:08",
        "status": "DELIVRD",
        "to": "380737893456",
    },
}


def _signed(report, key="secret123"):
    words = f"{report['eventId']}|{report['attempt']}|{report['eventCreateTs']}|{key}"
    return json.dumps(report | {"sign": sha1(words.encode(), usedforsecurity=False).hexdigest()}).encode()


async def test_a_text_is_sent():
    answer = {"code": 0, "data": {"campaignId": "1", "messageId": "169275418", "status": 2}, "message": ""}
    async with answering(answer) as (url, script):
        provider = mobizon(url, sender="DALA")
        result = await provider.send(SMS)
        await provider.close()

    seen = script.seen[0]
    assert result == SendResult("169275418", 1, None, None)
    assert (seen.method, seen.path) == ("POST", "/service/Message/SendSmsMessage")
    assert seen.query == {"output": "json", "api": "v1", "apiKey": SECRET}
    assert seen.form == {"recipient": PHONE[1:], "text": SMS.text, "from": "DALA"}


@pytest.mark.parametrize(
    ("code", "failure"),
    [(code, PermanentFailure) for code in (1, 2, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 99)]
    + [(30, TemporaryFailure)]
    + [(code, OutcomeUnknown) for code in (3, 10, 98, 100, 999, 12345, None)],
)
async def test_each_code_has_its_outcome(code, failure):
    answer = {"code": code, "data": {"recipient": PHONE}, "message": f"no {PHONE}"}
    async with answering(answer) as (url, _):
        provider = mobizon(url)
        with pytest.raises(failure) as failed:
            await provider.send(SMS)
        await provider.close()

    assert type(failed.value) is failure
    assert PHONE not in str(failed.value)


async def test_the_balance_is_told_with_its_currency():
    async with answering({"code": 0, "data": {"balance": "5000.50", "currency": "UZS"}}) as (url, script):
        provider = mobizon(url)
        assert await provider.balance() == Balance(Decimal("5000.50"), "UZS")
        await provider.close()

    assert script.seen[0].path == "/service/User/GetOwnBalance"


@pytest.mark.parametrize(
    ("status", "receipt"),
    [
        ("ACCEPTD", Receipt("169275418", "sent")),
        ("DELIVRD", Receipt("169275418", "delivered")),
        ("UNDELIV", Receipt("169275418", "failed", "UNDELIV")),
        ("EXPIRED", Receipt("169275418", "failed", "EXPIRED")),
    ],
)
async def test_a_signed_report_is_a_receipt(status, receipt):
    provider = mobizon("http://unused.example", receipt_secret="secret123")
    report = REPORT | {"data": REPORT["data"] | {"status": status}}

    assert provider.parse_receipt(_signed(report), {}, {}) == [receipt]
    await provider.close()


async def test_other_events_at_the_same_address_are_no_receipts():
    provider = mobizon("http://unused.example", receipt_secret="secret123")

    assert provider.parse_receipt(_signed(REPORT | {"eventType": "form-submission"}), {}, {}) == []
    await provider.close()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(REPORT).encode(),
        _signed(REPORT, key="another"),
        _signed(REPORT | {"data": {"messageId": 1, "status": "NONE"}}),
        _signed(REPORT | {"data": []}),
        json.dumps(REPORT | {"sign": "ж" * 40}).encode(),
        json.dumps(REPORT | {"sign": None}).encode(),
    ],
)
async def test_an_unsigned_or_senseless_report_is_refused(body):
    provider = mobizon("http://unused.example", receipt_secret="secret123")
    with pytest.raises(BadReceipt):
        provider.parse_receipt(body, {}, {})
    await provider.close()
