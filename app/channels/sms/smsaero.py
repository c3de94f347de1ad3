"""SMS Aero, API version 2.

Sources: https://smsaero.ru/integration/documentation/api/ and the maker's client,
https://github.com/smsaero/smsaero_python_async (addresses, fields, "success", "no credits"). What proves a
receipt is the secret part of the address it comes to.
"""

from collections.abc import Mapping
from typing import cast

from app.channels.sms import (
    BadReceipt,
    Balance,
    CannotAsk,
    OutcomeUnknown,
    Receipt,
    ReceiptState,
    SendResult,
    Sms,
    segments,
)
from app.channels.sms.wire import (
    DEADLINE_SECONDS,
    Answer,
    Wire,
    money_of,
    receipt_fields,
    receipt_form,
    text_of,
)
from app.errors import TemporaryFailure

DEFAULT_URL = "https://gate.smsaero.ru/v2"
DEFAULT_SENDER = "SMS Aero"  # the shared signature every account may use

_NO_MONEY_SECONDS = 900.0
_STATES: dict[str, ReceiptState] = {
    "0": "sent",  # queued
    "1": "delivered",
    "2": "failed",
    "3": "sent",
    "4": "sent",  # waiting for the network's report
    "6": "failed",  # rejected
    "8": "sent",  # being moderated
}


class SmsAero:
    """The SMS Aero gateway; `login` is the account's e-mail. Receipts come where `receipt_url` says."""

    name = "smsaero"

    def __init__(
        self,
        *,
        login: str,
        api_key: str,
        sender: str | None,
        currency: str,
        receipt_url: str | None = None,
        api_url: str = DEFAULT_URL,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._sender, self._currency, self._receipt_url = sender or DEFAULT_SENDER, currency, receipt_url
        self._url = api_url.rstrip("/")
        self._wire = Wire(
            self.name, auth=(login, api_key), secrets=(api_key,), deadline_seconds=deadline_seconds
        )

    async def send(self, sms: Sms) -> SendResult:
        body = {
            "number": sms.recipient.removeprefix("+"),
            "text": sms.text,
            "sign": sms.sender or self._sender,
        }
        if self._receipt_url is not None:
            body["callbackUrl"] = self._receipt_url
        answer = await self._wire.hand_over("POST", f"{self._url}/sms/send", body=body)
        self._check(answer)
        data = _data(answer)
        provider_id = text_of(data.get("id"))
        if not provider_id:
            raise OutcomeUnknown("smsaero: success without an id")
        cost = money_of(data.get("cost"))
        return SendResult(provider_id, segments.count(sms.text).parts, cost, self._currency)

    async def find(self, client_id: str, *, recipient: str | None = None) -> SendResult | None:
        raise CannotAsk("smsaero takes no message ids of ours")

    def parse_receipt(
        self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> list[Receipt]:
        is_json = "json" in headers.get("content-type", "")
        fields = receipt_fields(body) if is_json else receipt_form(body, query)
        provider_id, status = text_of(fields.get("id")), text_of(fields.get("status"))
        state = _STATES.get(status)
        if not provider_id or state is None:
            raise BadReceipt("id and a known status are required")
        return [Receipt(provider_id, state, f"status {status}" if state == "failed" else None)]

    async def balance(self) -> Balance | None:
        answer = await self._wire.ask("POST", f"{self._url}/balance")
        self._check(answer)
        amount = money_of(_data(answer).get("balance"))
        if amount is None:
            raise TemporaryFailure("smsaero: no balance in the answer")
        return Balance(amount, self._currency)

    async def close(self) -> None:
        await self._wire.close()

    def _check(self, answer: Answer) -> None:
        """Raise what the gateway says in words: it answers 200 and 4xx with the same kind of object."""
        if answer.fields.get("result") == "no credits" or answer.status == 402:
            raise TemporaryFailure("smsaero: not enough money", retry_after_seconds=_NO_MONEY_SECONDS)
        if answer.fields.get("success") is True and answer.is_success:
            return
        if answer.is_success and "success" not in answer.fields and "result" not in answer.fields:
            raise OutcomeUnknown("smsaero: neither success nor failure in the answer")
        raise self._wire.refused(answer, answer.fields.get("message") or answer.fields.get("reason"))


def _data(answer: Answer) -> dict[str, object]:
    data = answer.fields.get("data")
    return cast("dict[str, object]", data) if isinstance(data, dict) else {}
