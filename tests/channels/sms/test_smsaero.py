from base64 import b64encode
from decimal import Decimal

import pytest

from app.channels.sms import BadReceipt, Balance, OutcomeUnknown, Receipt, SendResult
from app.errors import PermanentFailure, TemporaryFailure
from tests.channels.sms.gateways import PHONE, SECRET, SMS, answering, smsaero

BASIC = b64encode(f"shop@example.com:{SECRET}".encode()).decode()
TAKEN = {
    "success": True,
    "data": {
        "id": 12345,
        "from": "SMS Aero",
        "number": "77011234567",
        "text": SMS.text,
        "status": 0,
        "extendStatus": "queue",
        "channel": "FREE SIGN",
        "cost": 5.49,
        "dateCreate": 1719119523,
        "dateSend": 1719119523,
    },
    "message": None,
}


async def test_a_text_is_sent_with_the_shared_signature_and_its_price_told():
    async with answering(TAKEN) as (url, script):
        provider = smsaero(f"{url}/v2", receipt_url="https://cards.example/hooks/sms/t0k3n")
        result = await provider.send(SMS)
        await provider.close()

    seen = script.seen[0]
    assert result == SendResult("12345", 1, Decimal("5.49"), "RUB")
    assert (seen.method, seen.path) == ("POST", "/v2/sms/send")
    assert seen.headers["authorization"] == f"Basic {BASIC}"
    assert seen.json == {
        "number": PHONE[1:],
        "text": SMS.text,
        "sign": "SMS Aero",
        "callbackUrl": "https://cards.example/hooks/sms/t0k3n",
    }


@pytest.mark.parametrize(
    ("status", "answer", "failure"),
    [
        (
            400,
            {"success": False, "data": {"number": ["bad"]}, "message": "Validation."},
            PermanentFailure,
        ),
        (401, {"success": False, "data": None, "message": "Invalid credentials."}, PermanentFailure),
        (402, {"success": False, "data": None, "message": "Payment required"}, TemporaryFailure),
        (200, {"result": "no credits"}, TemporaryFailure),
        (200, {"result": "reject", "reason": "empty field"}, PermanentFailure),
        (200, {"success": False, "data": None, "message": "Moderation"}, PermanentFailure),
        (200, {"success": True, "data": {}}, OutcomeUnknown),
        (200, {"success": True, "data": [TAKEN["data"]]}, OutcomeUnknown),
    ],
)
async def test_each_answer_has_its_outcome(status, answer, failure):
    async with answering(answer, status) as (url, _):
        provider = smsaero(url)
        with pytest.raises(failure) as failed:
            await provider.send(SMS)
        await provider.close()

    assert type(failed.value) is failure


async def test_the_balance_is_told():
    async with answering({"success": True, "data": {"balance": 337.03}, "message": None}) as (url, _):
        provider = smsaero(url)
        assert await provider.balance() == Balance(Decimal("337.03"), "RUB")
        await provider.close()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"id=12345&status=%s", "application/x-www-form-urlencoded"),
        (b'{"id": 12345, "status": %s}', "application/json"),
    ],
)
@pytest.mark.parametrize(
    ("status", "receipt"),
    [
        (b"1", Receipt("12345", "delivered")),
        (b"2", Receipt("12345", "failed", "status 2")),
        (b"3", Receipt("12345", "sent")),
        (b"6", Receipt("12345", "failed", "status 6")),
    ],
)
async def test_a_receipt_is_a_form_or_json(body, content_type, status, receipt):
    provider = smsaero("http://unused.example")
    assert provider.parse_receipt(body % status, {"content-type": content_type}, {}) == [receipt]
    with pytest.raises(BadReceipt):
        provider.parse_receipt(body % b"99", {"content-type": content_type}, {})
    await provider.close()
