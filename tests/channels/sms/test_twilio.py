from decimal import Decimal
from urllib.parse import urlencode

import pytest

from app.channels.sms import BadReceipt, Balance, OutcomeUnknown, Receipt, SendResult
from app.channels.sms.twilio import sign
from app.errors import PermanentFailure, TemporaryFailure
from tests.channels.sms.gateways import PHONE, SECRET, SMS, answering, twilio

TAKEN = {"sid": "SM1", "status": "queued", "num_segments": "2", "price": None, "price_unit": "USD"}
RECEIPTS = "https://cards.example/hooks/sms/t0k3n"


async def test_a_text_is_sent_from_a_number():
    async with answering(TAKEN, 201) as (url, script):
        provider = twilio(url, receipt_url=RECEIPTS)
        result = await provider.send(SMS)
        await provider.close()

    assert result == SendResult("SM1", 2, None, "USD")
    assert (script.seen[0].method, script.seen[0].path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert script.seen[0].headers["authorization"].startswith("Basic ")
    assert script.seen[0].form == {
        "To": PHONE,
        "Body": SMS.text,
        "From": "+15005550006",
        "StatusCallback": RECEIPTS,
    }


async def test_a_messaging_service_sends_too_and_its_parts_are_counted_here():
    answer = TAKEN | {"num_segments": "0", "price": "-0.0075"}
    async with answering(answer, 201) as (url, script):
        provider = twilio(url, sender="MG1")
        result = await provider.send(SMS)
        await provider.close()

    assert result == SendResult("SM1", 1, Decimal("0.0075"), "USD")
    assert script.seen[0].form == {"To": PHONE, "Body": SMS.text, "MessagingServiceSid": "MG1"}


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [
        (401, 20003, PermanentFailure),
        (404, 20404, PermanentFailure),
        (400, 21211, PermanentFailure),
        (400, 21408, PermanentFailure),
        (400, 21610, PermanentFailure),
        (400, 21614, PermanentFailure),
        (400, 99999, PermanentFailure),
        (400, 21611, TemporaryFailure),
        (429, 20429, TemporaryFailure),
        (201, None, OutcomeUnknown),
    ],
)
async def test_each_error_has_its_outcome(status, code, failure):
    answer = {"code": code, "message": f"{PHONE} is not a valid phone number", "status": status}
    async with answering(answer, status) as (url, _):
        provider = twilio(url)
        with pytest.raises(failure) as failed:
            await provider.send(SMS)
        await provider.close()

    assert type(failed.value) is failure
    assert PHONE not in str(failed.value)


async def test_without_a_sender_nothing_is_sent():
    async with answering(TAKEN, 201) as (url, script):
        provider = twilio(url, sender=None)
        with pytest.raises(PermanentFailure, match="PASSBELL_SMS_SENDER"):
            await provider.send(SMS)
        await provider.close()

    assert script.seen == []


async def test_the_balance_is_told():
    async with answering({"balance": "12.3456", "currency": "USD"}) as (url, script):
        provider = twilio(url)
        assert await provider.balance() == Balance(Decimal("12.3456"), "USD")
        await provider.close()

    assert script.seen[0].path == "/2010-04-01/Accounts/AC1/Balance.json"


def test_the_signature_is_the_documented_one():
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }  # the example in the tests of Twilio's own libraries

    signature = sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form)

    assert signature == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def _receipt(form, token=SECRET, url=RECEIPTS):
    return urlencode(form).encode(), {"x-twilio-signature": sign(token, url, form)}


@pytest.mark.parametrize(
    ("status", "extra", "receipt"),
    [
        ("sent", {}, Receipt("SM1", "sent")),
        ("delivered", {}, Receipt("SM1", "delivered")),
        ("undelivered", {"ErrorCode": "30003"}, Receipt("SM1", "failed", "30003")),
        ("failed", {"ErrorCode": "30008"}, Receipt("SM1", "failed", "30008")),
    ],
)
async def test_a_signed_form_is_a_receipt(status, extra, receipt):
    provider = twilio("http://unused.example", receipt_url=RECEIPTS)
    body, headers = _receipt({"MessageSid": "SM1", "MessageStatus": status, "To": PHONE} | extra)

    assert provider.parse_receipt(body, headers, {}) == [receipt]
    await provider.close()


@pytest.mark.parametrize(
    "parts",
    [
        (b"MessageSid=SM1&MessageStatus=delivered", {}),
        _receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, token="wrong"),
        _receipt({"MessageSid": "SM1", "MessageStatus": "delivered"}, url=f"{RECEIPTS}/"),
        _receipt({"MessageSid": "SM1", "MessageStatus": "beamed"}),
        _receipt({"MessageStatus": "delivered"}),
    ],
)
async def test_an_unsigned_or_senseless_form_is_refused(parts):
    provider = twilio("http://unused.example", receipt_url=RECEIPTS)
    with pytest.raises(BadReceipt):
        provider.parse_receipt(*parts, {})
    await provider.close()


async def test_without_a_receipt_address_no_receipt_is_authentic():
    provider = twilio("http://unused.example")
    body, headers = _receipt({"MessageSid": "SM1", "MessageStatus": "delivered"})
    with pytest.raises(BadReceipt):
        provider.parse_receipt(body, headers, {})
    await provider.close()
