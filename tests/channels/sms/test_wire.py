"""What every provider does when the wire fails, whatever its protocol."""

import json
import logging

import pytest

from app.channels.sms import CannotAsk, OutcomeUnknown
from app.channels.sms.wire import masked, money_of, read_json
from app.errors import PermanentFailure, TemporaryFailure
from tests.channels.sms.gateways import (
    PHONE,
    PROVIDERS,
    SECRET,
    SMS,
    absent,
    answering,
    hanging_up,
    silent,
)

every_provider = pytest.mark.parametrize("open_at", PROVIDERS.values(), ids=PROVIDERS)


@every_provider
async def test_a_connection_lost_after_the_request_was_read_leaves_the_outcome_unknown(open_at):
    async with hanging_up() as url:
        provider = open_at(url)
        with pytest.raises(OutcomeUnknown):
            await provider.send(SMS)
        await provider.close()


@every_provider
async def test_no_answer_within_the_deadline_leaves_the_outcome_unknown(open_at):
    async with silent() as url:
        provider = open_at(url, deadline_seconds=0.2)
        with pytest.raises(OutcomeUnknown):
            await provider.send(SMS)
        await provider.close()


@every_provider
async def test_a_refused_connection_may_be_tried_again(open_at):
    async with absent() as url:
        provider = open_at(url)
        with pytest.raises(TemporaryFailure, match="no connection"):
            await provider.send(SMS)
        await provider.close()


@every_provider
@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (301, PermanentFailure),
        (400, PermanentFailure),
        (401, PermanentFailure),
        (404, PermanentFailure),
        (408, TemporaryFailure),
        (429, TemporaryFailure),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
        (503, TemporaryFailure),
        (504, OutcomeUnknown),
    ],
)
async def test_a_status_says_whether_the_message_can_have_been_taken(open_at, status, failure):
    async with answering(b"<html>", status) as (url, script):
        provider = open_at(url)
        with pytest.raises(failure) as failed:
            await provider.send(SMS)
        await provider.close()

    assert type(failed.value) is failure
    assert len(script.seen) == 1  # nothing is tried again in here


@every_provider
@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"[]", b"{}", b"{", b"\xff", b"[" * 100_000, {"id": None}]
)
async def test_a_success_nobody_can_read_leaves_the_outcome_unknown(open_at, answer):
    async with answering(answer) as (url, _):
        provider = open_at(url)
        with pytest.raises(OutcomeUnknown):
            await provider.send(SMS)
        await provider.close()


@every_provider
async def test_the_wait_a_busy_gateway_asks_for_is_passed_on(open_at):
    async with answering({}, 429, {"Retry-After": "17"}) as (url, _):
        provider = open_at(url)
        with pytest.raises(TemporaryFailure) as busy:
            await provider.send(SMS)
        await provider.close()

    assert busy.value.retry_after_seconds == 17


@every_provider
async def test_neither_errors_nor_logs_hold_the_secret_or_the_phone_number(open_at, caplog):
    caplog.set_level(logging.DEBUG)
    words = f"key {SECRET} may not write to {PHONE} or +7 (701) 123-45-67"
    refusal = {"error": words, "message": words, "success": False, "code": 1, "error_code": 7}
    async with answering(refusal, 400) as (url, _):
        provider = open_at(url)
        with pytest.raises(PermanentFailure) as refused:
            await provider.send(SMS)
        await provider.close()

    told = f"{refused.value!r} {caplog.text} {[record.__dict__ for record in caplog.records]}"
    for hidden in (SECRET, PHONE, PHONE[1:], "123-45-67", SMS.text):
        assert hidden not in told


@every_provider
async def test_what_only_asks_may_always_be_asked_again(open_at):
    async with hanging_up() as url:
        provider = open_at(url)
        with pytest.raises(TemporaryFailure):
            await provider.balance()
        try:
            with pytest.raises(TemporaryFailure):
                await provider.find("msg_1", recipient=PHONE)
        except CannotAsk:
            assert provider.name in {"smsaero", "mobizon", "twilio"}
        await provider.close()


@every_provider
async def test_an_answer_that_is_no_balance_is_a_failure(open_at):
    async with answering({"error_code": 2, "success": False, "code": 8}, 401) as (url, _):
        provider = open_at(url)
        with pytest.raises(PermanentFailure):
            await provider.balance()
        await provider.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to +77011234567 failed", "to …67 failed"),
        ("to 8 (701) 123-45-67 failed", "to …67 failed"),
        ("error 21211", "error …11"),
        ("code 42", "code 42"),
        ("x" * 500, "x" * 160),
    ],
)
def test_anything_like_a_phone_number_is_masked(text, shown):
    assert masked(text) == shown


def test_amounts_keep_their_decimals():
    assert str(money_of(read_json(json.dumps({"cost": 4.10}).encode())["cost"])) == "4.1"
    assert [money_of(value) for value in (None, True, "NaN", "Infinity", [], "4,5")] == [None] * 6
