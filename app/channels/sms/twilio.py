"""Twilio's Messages resource.

Sources: https://www.twilio.com/docs/messaging/api/message-resource (fields, statuses),
https://www.twilio.com/docs/usage/security (X-Twilio-Signature), https://www.twilio.com/docs/api/errors.
"""

import base64
import hmac
from collections.abc import Mapping

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
from app.channels.sms.wire import DEADLINE_SECONDS, Wire, count_of, money_of, receipt_form, text_of
from app.errors import PermanentFailure, TemporaryFailure

DEFAULT_URL = "https://api.twilio.com"

_QUEUE_FULL = "21611"
_REFUSALS = {
    "20003": "wrong account SID or auth token",
    "20404": "no such account",
    "21211": "wrong recipient",
    "21212": "wrong sender",
    "21408": "this country is not enabled for the account",
    "21606": "this sender cannot send SMS",
    "21608": "a trial account may only write to verified numbers",
    "21610": "the recipient has unsubscribed",
    "21612": "this sender cannot reach this recipient",
    "21614": "the recipient is not a mobile phone",
    "21617": "the text is too long",
}
_STATES: dict[str, ReceiptState] = {
    "accepted": "sent",
    "scheduled": "sent",
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}


class Twilio:
    """The Twilio gateway. `sender` is a number, a name or a messaging service ("MG...").

    Receipts are asked for when `receipt_url` is set, and their signature is made over exactly that address.
    """

    name = "twilio"

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        sender: str | None,
        receipt_url: str | None = None,
        api_url: str = DEFAULT_URL,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._sender, self._receipt_url, self._auth_token = sender, receipt_url, auth_token
        self._url = f"{api_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}"
        self._wire = Wire(
            self.name,
            auth=(account_sid, auth_token),
            secrets=(auth_token,),
            deadline_seconds=deadline_seconds,
        )

    async def send(self, sms: Sms) -> SendResult:
        sender = sms.sender or self._sender
        if sender is None:
            raise PermanentFailure("twilio: no sender: set PASSBELL_SMS_SENDER to a number of yours")
        form = {"To": sms.recipient, "Body": sms.text}
        form["MessagingServiceSid" if sender.startswith("MG") else "From"] = sender
        if self._receipt_url is not None:
            form["StatusCallback"] = self._receipt_url
        answer = await self._wire.hand_over("POST", f"{self._url}/Messages.json", form=form)
        if not answer.is_success:
            code = text_of(answer.fields.get("code"))
            if code == _QUEUE_FULL:
                raise TemporaryFailure("twilio: error 21611, the sender's queue is full")
            raise self._wire.refused(answer, f"error {code}, {_REFUSALS.get(code, 'see Twilio')}")
        provider_id = text_of(answer.fields.get("sid"))
        if not provider_id:
            raise OutcomeUnknown("twilio: success without a sid")
        # A messaging service has not chosen its sender yet and says 0 segments; the price comes later too.
        parts = count_of(answer.fields.get("num_segments")) or segments.count(sms.text).parts
        price = money_of(answer.fields.get("price"))
        currency = text_of(answer.fields.get("price_unit")) or None
        return SendResult(provider_id, parts, None if price is None else abs(price), currency)

    async def find(self, client_id: str, *, recipient: str | None = None) -> SendResult | None:
        raise CannotAsk("twilio takes no message ids of ours")

    def parse_receipt(
        self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> list[Receipt]:
        form = receipt_form(body, {})
        if self._receipt_url is None:
            raise BadReceipt("no receipts were asked for")
        signature = headers.get("x-twilio-signature", "").encode("utf-8", "replace")
        if not hmac.compare_digest(signature, sign(self._auth_token, self._receipt_url, form).encode()):
            raise BadReceipt("the signature does not fit")
        provider_id, state = form.get("MessageSid"), _STATES.get(form.get("MessageStatus", ""))
        if not provider_id or state is None:
            raise BadReceipt("MessageSid and a known MessageStatus are required")
        return [Receipt(provider_id, state, form.get("ErrorCode", "")[:8] or None)]

    async def balance(self) -> Balance | None:
        answer = await self._wire.ask("GET", f"{self._url}/Balance.json")
        amount = money_of(answer.fields.get("balance"))
        if amount is None:
            raise self._wire.refused(answer, text_of(answer.fields.get("code")))
        return Balance(amount, text_of(answer.fields.get("currency")) or None)

    async def close(self) -> None:
        await self._wire.close()


def sign(auth_token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the address, then each field's name and value by name, in base64."""
    words = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(
        hmac.digest(auth_token.encode(), words.encode("utf-8", "replace"), "sha1")
    ).decode()
