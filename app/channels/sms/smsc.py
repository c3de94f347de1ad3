"""SMSC.ru, smsc.kz and the other hosts of that gateway.

Sources: https://smsc.ru/api/http/ (send.php, fmt=3, error codes 1 to 9), .../status_messages (status.php),
.../balance (balance.php) and the section there on statuses handed to the client's address (form fields id,
phone, status, ts, err). What proves a receipt is the secret part of the address it comes to.
"""

from collections.abc import Mapping
from typing import Literal, NoReturn

from app.channels.sms import (
    BadReceipt,
    Balance,
    CannotAsk,
    OutcomeUnknown,
    Receipt,
    SendResult,
    Sms,
    segments,
)
from app.channels.sms.wire import (
    DEADLINE_SECONDS,
    Wire,
    count_of,
    moment_of,
    money_of,
    receipt_form,
    text_of,
)
from app.errors import PermanentFailure, TemporaryFailure

DEFAULT_URL = "https://smsc.ru"

_REFUSALS = {
    1: "a parameter is wrong",
    2: "wrong login or password, or this address is not allowed",
    5: "wrong date",
    6: "the text or the sender's name is forbidden",
    7: "wrong phone number",
    8: "the number cannot be reached",
}
_FOR_NOW = {3: ("not enough money", 900.0), 4: ("address blocked for too many errors", 900.0)}
_NOT_FOUND = -3
_STATES: dict[str, Literal["sent", "delivered", "failed"]] = {
    "-2": "failed",  # stopped
    "-1": "sent",
    "0": "sent",
    "1": "delivered",
    "2": "delivered",  # read
    "3": "failed",  # expired
    "4": "delivered",  # link pressed
    "20": "failed",
    "22": "failed",
    "23": "failed",
    "24": "failed",
    "25": "failed",
}


class Smsc:
    """The SMSC.ru gateway; `login` None means that `secret` is an API key, else it is the password."""

    name = "smsc"

    def __init__(
        self,
        *,
        login: str | None,
        secret: str,
        sender: str | None,
        currency: str,
        api_url: str = DEFAULT_URL,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._credentials = {"apikey": secret} if login is None else {"login": login, "psw": secret}
        self._sender, self._currency = sender, currency
        self._url = api_url.rstrip("/") + "/sys"
        self._wire = Wire(self.name, secrets=(secret,), deadline_seconds=deadline_seconds)

    async def send(self, sms: Sms) -> SendResult:
        form = self._credentials | {
            "phones": sms.recipient,  # with its plus sign: the gateway then corrects nothing
            "mes": sms.text,
            "id": sms.client_id,
            "fmt": "3",
            "cost": "3",  # send, and tell what it cost
            "charset": "utf-8",
        }
        if sender := sms.sender or self._sender:
            form["sender"] = sender
        answer = await self._wire.hand_over("POST", f"{self._url}/send.php", form=form)
        if "error_code" in answer.fields:
            _refuse(count_of(answer.fields["error_code"]))
        provider_id, parts = text_of(answer.fields.get("id")), count_of(answer.fields.get("cnt"))
        if not answer.is_success:
            raise self._wire.refused(answer)
        if not provider_id or parts is None:
            raise OutcomeUnknown("smsc: neither an id nor an error in the answer")
        return SendResult(provider_id, parts, money_of(answer.fields.get("cost")), self._currency)

    async def find(self, client_id: str, *, recipient: str | None = None) -> SendResult | None:
        if recipient is None:
            raise CannotAsk("smsc finds a message only together with its recipient")
        form = self._credentials | {"phone": recipient, "id": client_id, "fmt": "3", "all": "1"}
        answer = await self._wire.ask("POST", f"{self._url}/status.php", form=form)
        error = answer.fields.get("error_code")
        if error == 3 or answer.fields.get("status") == _NOT_FOUND:
            return None
        if "status" not in answer.fields:
            raise TemporaryFailure(f"smsc: the status was not told, error {count_of(error)}")
        parts = segments.count(text_of(answer.fields.get("message"))).parts
        return SendResult(client_id, parts, money_of(answer.fields.get("cost")), self._currency)

    def parse_receipt(
        self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> list[Receipt]:
        fields = receipt_form(body, query)
        provider_id, state = fields.get("id"), _STATES.get(fields.get("status", ""))
        if not provider_id or state is None:
            raise BadReceipt("id and a known status are required")
        error = f"status {fields['status']}, err {fields.get('err', '')[:8]}" if state == "failed" else None
        return [Receipt(provider_id, state, error, moment_of(fields.get("ts")))]

    async def balance(self) -> Balance | None:
        answer = await self._wire.ask(
            "POST", f"{self._url}/balance.php", form=self._credentials | {"fmt": "3"}
        )
        amount = money_of(answer.fields.get("balance"))
        if amount is None:
            raise PermanentFailure(f"smsc: balance refused, error {text_of(answer.fields.get('error_code'))}")
        return Balance(amount, self._currency)

    async def close(self) -> None:
        await self._wire.close()


def _refuse(code: int | None) -> NoReturn:
    if code == 9:
        # Too many requests at once, or the same message a minute ago, which was then accepted: `find` tells.
        raise OutcomeUnknown("smsc: error 9, the same message was sent just now or too many at once")
    if code in _FOR_NOW:
        words, seconds = _FOR_NOW[code]
        raise TemporaryFailure(f"smsc: error {code}, {words}", retry_after_seconds=seconds)
    raise PermanentFailure(f"smsc: error {code}, {_REFUSALS.get(code or 0, 'unknown')}")
