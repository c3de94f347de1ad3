from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.channels.sms import BadReceipt, Balance, CannotAsk, OutcomeUnknown, Receipt, SendResult
from app.errors import PermanentFailure, TemporaryFailure
from tests.channels.sms.gateways import PHONE, SECRET, SMS, answering, smsc


async def test_a_text_is_sent_under_our_id_and_its_price_told():
    answer = {"id": "msg_1", "cnt": 1, "cost": "4.1", "balance": "83.6"}
    async with answering(answer) as (url, script):
        provider = smsc(url)
        result = await provider.send(SMS)
        await provider.close()

    assert result == SendResult("msg_1", 1, Decimal("4.1"), "RUB")
    assert (script.seen[0].method, script.seen[0].path, script.seen[0].query) == ("POST", "/sys/send.php", {})
    assert script.seen[0].form == {
        "login": "shop",
        "psw": SECRET,
        "phones": PHONE,
        "mes": SMS.text,
        "id": "msg_1",
        "sender": "DALA",
        "fmt": "3",
        "cost": "3",
        "charset": "utf-8",
    }


async def test_without_a_login_the_secret_is_an_api_key():
    async with answering({"id": 5, "cnt": 1}) as (url, script):
        provider = smsc(url, login=None)
        result = await provider.send(SMS)
        await provider.close()

    assert result == SendResult("5", 1, None, "RUB")
    assert script.seen[0].form["apikey"] == SECRET
    assert not {"login", "psw"} & set(script.seen[0].form)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (1, PermanentFailure),
        (2, PermanentFailure),
        (3, TemporaryFailure),
        (4, TemporaryFailure),
        (5, PermanentFailure),
        (6, PermanentFailure),
        (7, PermanentFailure),
        (8, PermanentFailure),
        (9, OutcomeUnknown),
        (77, PermanentFailure),
    ],
)
async def test_each_error_code_has_its_outcome(code, failure):
    async with answering({"error": f"invalid number {PHONE}", "error_code": code}) as (url, _):
        provider = smsc(url)
        with pytest.raises(failure, match=f"error {code}") as failed:
            await provider.send(SMS)
        await provider.close()

    assert type(failed.value) is failure
    assert PHONE not in str(failed.value)


async def test_a_message_is_found_by_our_id_and_its_phone():
    answer = {"status": 1, "last_timestamp": 1679060876, "cost": "8.20", "message": "я" * 71}
    async with answering(answer) as (url, script):
        provider = smsc(url)
        found = await provider.find("msg_1", recipient=PHONE)
        with pytest.raises(CannotAsk):
            await provider.find("msg_1")
        await provider.close()

    assert found == SendResult("msg_1", 2, Decimal("8.20"), "RUB")
    assert script.seen[0].path == "/sys/status.php"
    assert script.seen[0].form.items() >= {"phone": PHONE, "id": "msg_1", "fmt": "3"}.items()


@pytest.mark.parametrize("answer", [{"status": -3}, {"error": "message not found", "error_code": 3}])
async def test_a_message_the_gateway_never_took_is_not_found(answer):
    async with answering(answer) as (url, _):
        provider = smsc(url)
        assert await provider.find("msg_1", recipient=PHONE) is None
        await provider.close()


@pytest.mark.parametrize("answer", [{"error_code": 9}, {"error_code": 2}, b"oops"])
async def test_a_question_without_an_answer_is_not_taken_for_not_found(answer):
    async with answering(answer) as (url, _):
        provider = smsc(url)
        with pytest.raises(TemporaryFailure):
            await provider.find("msg_1", recipient=PHONE)
        await provider.close()


async def test_the_balance_is_told():
    async with answering({"balance": "1234.56"}) as (url, script):
        provider = smsc(url)
        assert await provider.balance() == Balance(Decimal("1234.56"), "RUB")
        await provider.close()

    assert script.seen[0].path == "/sys/balance.php"


@pytest.mark.parametrize(
    ("status", "state", "error"),
    [
        ("-1", "sent", None),
        ("0", "sent", None),
        ("1", "delivered", None),
        ("2", "delivered", None),
        ("3", "failed", "status 3, err 6"),
        ("20", "failed", "status 20, err 6"),
        ("25", "failed", "status 25, err 6"),
    ],
)
async def test_a_receipt_is_a_form(status, state, error):
    provider = smsc("http://unused.example")
    body = f"id=msg_1&phone=77011234567&status={status}&ts=1679060876&err=6".encode()

    receipts = provider.parse_receipt(body, {}, {})

    assert receipts == [Receipt("msg_1", state, error, datetime(2023, 3, 17, 13, 47, 56, tzinfo=UTC))]
    await provider.close()


@pytest.mark.parametrize("body", [b"", b"id=1", b"status=1", b"id=1&status=99", b"id=\xff&status=1\xff"])
async def test_what_is_no_receipt_is_refused(body):
    provider = smsc("http://unused.example")
    with pytest.raises(BadReceipt):
        provider.parse_receipt(body, {}, {})
    await provider.close()
