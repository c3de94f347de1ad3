"""Mobizon: Kazakhstan and the other countries of that gateway (api.mobizon.kz, api.mobizon.com.br, ...).

Source: https://github.com/mobizon/mobizon-api-docs (src/v1/en: message, user, _other/apiCode.md,
_other/smsStatus.md, _webhook: the body and signature of delivery reports).
"""

import hmac
from collections.abc import Mapping
from hashlib import sha1
from typing import NoReturn, cast

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
from app.channels.sms.wire import DEADLINE_SECONDS, Answer, Wire, money_of, receipt_fields, text_of
from app.errors import PermanentFailure, TemporaryFailure

DEFAULT_URL = "https://api.mobizon.kz"

_REFUSALS = {
    "1": "a field is wrong: the number or the sender",
    "2": "not found",
    "4": "unknown module",
    "5": "unknown method",
    "6": "unknown format",
    "8": "wrong API key",
    "9": "no access to this method",
    "11": "a parameter is missing",
    "12": "a parameter breaks a limit",
    "13": "another host serves this account: check the gateway's address",
    "14": "the account is blocked or deleted",
    "15": "the operation failed",
    "99": "nothing was processed",
}
_TOO_OFTEN = "30"
_STATES: dict[str, ReceiptState] = {
    "NEW": "sent",
    "ENQUEUD": "sent",
    "ACCEPTD": "sent",
    "PDLIVRD": "sent",
    "DELIVRD": "delivered",
    "UNDELIV": "failed",
    "REJECTD": "failed",
    "EXPIRED": "failed",
    "DELETED": "failed",
}


class Mobizon:
    """The Mobizon gateway. `receipt_secret` is the webhook's secretKey; None: signatures go unchecked."""

    name = "mobizon"

    def __init__(
        self,
        *,
        api_key: str,
        sender: str | None,
        currency: str,
        receipt_secret: str | None = None,
        api_url: str = DEFAULT_URL,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._sender, self._currency, self._receipt_secret = sender, currency, receipt_secret
        self._url = api_url.rstrip("/") + "/service"
        self._params = {"output": "json", "api": "v1", "apiKey": api_key}
        self._wire = Wire(self.name, secrets=(api_key,), deadline_seconds=deadline_seconds)

    async def send(self, sms: Sms) -> SendResult:
        form = {"recipient": sms.recipient.removeprefix("+"), "text": sms.text}
        if sender := sms.sender or self._sender:
            form["from"] = sender
        answer = await self._wire.hand_over(
            "POST", f"{self._url}/Message/SendSmsMessage", params=self._params, form=form
        )
        if not answer.is_success:
            raise self._wire.refused(answer, text_of(answer.fields.get("code")))
        _check(answer)
        provider_id = text_of(_data(answer.fields).get("messageId"))
        if not provider_id:
            raise OutcomeUnknown("mobizon: success without a message id")
        return SendResult(provider_id, segments.count(sms.text).parts)

    async def find(self, client_id: str, *, recipient: str | None = None) -> SendResult | None:
        raise CannotAsk("mobizon takes no message ids of ours")

    def parse_receipt(
        self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> list[Receipt]:
        fields = receipt_fields(body)
        if self._receipt_secret is not None:
            _check_signature(fields, self._receipt_secret)
        if fields.get("eventType") != "sms-delivery-report":
            return []  # the same address may get events of forms
        data = _data(fields)
        provider_id, status = text_of(data.get("messageId")), text_of(data.get("status"))
        state = _STATES.get(status)
        if not provider_id or state is None:
            raise BadReceipt("data.messageId and a known data.status are required")
        return [Receipt(provider_id, state, status if state == "failed" else None)]

    async def balance(self) -> Balance | None:
        answer = await self._wire.ask("POST", f"{self._url}/User/GetOwnBalance", params=self._params)
        data = _data(answer.fields)
        amount = money_of(data.get("balance"))
        if text_of(answer.fields.get("code")) != "0" or amount is None:
            code = text_of(answer.fields.get("code"))
            raise PermanentFailure(f"mobizon: balance refused, code {code}, {_REFUSALS.get(code, 'unknown')}")
        return Balance(amount, text_of(data.get("currency"))[:3] or self._currency)

    async def close(self) -> None:
        await self._wire.close()


def _check(answer: Answer) -> None:
    code = text_of(answer.fields.get("code"))
    if code != "0":
        _refuse(code)


def _refuse(code: str) -> NoReturn:
    if code == _TOO_OFTEN:
        raise TemporaryFailure("mobizon: code 30, too many requests", retry_after_seconds=60.0)
    if code in _REFUSALS:
        raise PermanentFailure(f"mobizon: code {code}, {_REFUSALS[code]}")
    # 3, 10, 98, 100 and 999 do not say whether the message was created.
    raise OutcomeUnknown(f"mobizon: code {code[:8]}")


def _check_signature(fields: dict[str, object], secret: str) -> None:
    """SHA-1 over "eventId|attempt|eventCreateTs|secretKey", in hex."""
    words = "|".join(
        [*(text_of(fields.get(name)) for name in ("eventId", "attempt", "eventCreateTs")), secret]
    )
    expected = sha1(words.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(text_of(fields.get("sign")).encode("utf-8", "replace"), expected.encode()):
        raise BadReceipt("the signature does not fit")


def _data(fields: dict[str, object]) -> dict[str, object]:
    data = fields.get("data")
    return cast("dict[str, object]", data) if isinstance(data, dict) else {}
