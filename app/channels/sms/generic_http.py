"""Any gateway with an HTTP API, described by settings instead of code.

The request is a template: a JSON value, a form or a query whose strings may hold placeholders, such as
{"to": "{recipient}", "message": "{text}"}. It is parsed first and filled string by string, so a text with
quotes, braces or placeholders in it stays text. Answers and receipts are read by paths such as
"messages.0.id". What proves a receipt is the secret part of the address it comes to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast

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
from app.channels.sms.placeholders import WrongTemplate, check_names, fill, fill_text, fill_url
from app.channels.sms.wire import (
    DEADLINE_SECONDS,
    Answer,
    Wire,
    count_of,
    masked,
    moment_of,
    money_of,
    read_json,
    receipt_form,
    text_of,
)
from app.errors import TemporaryFailure

_OF_THE_ACCOUNT = frozenset({"api_key", "login", "password"})
_OF_A_MESSAGE = frozenset({"recipient", "recipient_digits", "text", "sender", "client_id"})
_NO_ERROR = ("", "0", "None", "False")


@dataclass(frozen=True)
class Gateway:
    """How one gateway is spoken to; the defaults are the simulated gateway's protocol.

    Placeholders of a message are {recipient} (E.164), {recipient_digits} (without the plus), {text},
    {sender}, {client_id}; of the account {api_key}, {login}, {password}. Addresses and headers take the
    account's and {client_id}. A body's field that is exactly "{sender}" is left out where there is none.
    `body_as` says how the body travels. A path that is empty reads nothing.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Authorization": "Bearer {api_key}"})
    body: object = field(
        default_factory=lambda: {
            "to": "{recipient}",
            "text": "{text}",
            "client_id": "{client_id}",
            "from": "{sender}",
        }
    )
    body_as: Literal["json", "form", "query"] = "json"
    id_path: str = "id"
    segments_path: str = "segments"
    cost_path: str = "cost"
    currency_path: str = "currency"
    error_path: str = "error"
    temporary_errors: frozenset[str] = frozenset()
    find_url: str | None = None
    balance_url: str | None = None
    balance_path: str = "balance"
    receipt_list_path: str = ""
    receipt_id_path: str = "id"
    receipt_status_path: str = "status"
    receipt_error_path: str = "error"
    receipt_at_path: str = "at"
    receipt_states: Mapping[str, ReceiptState] = field(
        default_factory=lambda: cast(
            "dict[str, ReceiptState]", {state: state for state in ("sent", "delivered", "failed")}
        )
    )


@dataclass(frozen=True)
class Account:
    """The credentials the templates may name."""

    api_key: str = ""
    login: str = ""
    password: str = ""


class GenericHttp:
    """A gateway described by a `Gateway`. Raises WrongTemplate when the description cannot work."""

    name = "generic"

    def __init__(
        self,
        gateway: Gateway,
        account: Account,
        *,
        sender: str | None,
        currency: str,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        _check(gateway)
        self._gateway, self._sender, self._currency = gateway, sender, currency
        self._account: dict[str, str | None] = {
            "api_key": account.api_key,
            "login": account.login,
            "password": account.password,
        }
        self._wire = Wire(
            self.name, secrets=(account.api_key, account.password), deadline_seconds=deadline_seconds
        )

    async def send(self, sms: Sms) -> SendResult:
        values = self._account | {
            "recipient": sms.recipient,
            "recipient_digits": sms.recipient.removeprefix("+"),
            "text": sms.text,
            "sender": sms.sender or self._sender,
            "client_id": sms.client_id,
        }
        filled = fill(self._gateway.body, values)
        as_fields = cast("dict[str, str]", filled)  # _check: a form or query is flat
        answer = await self._wire.hand_over(
            self._gateway.method,
            fill_url(self._gateway.url, values),
            params=as_fields if self._gateway.body_as == "query" else None,
            form=as_fields if self._gateway.body_as == "form" else None,
            body=filled if self._gateway.body_as == "json" else None,
            headers=self._headers(values),
        )
        self._refuse_if_error(answer)
        result = self._result(answer)
        if result is None:
            raise OutcomeUnknown(f"generic: nothing at {self._gateway.id_path!r} in the answer")
        return result if result.segments else _with_parts(result, sms.text)

    async def find(self, client_id: str, *, recipient: str | None = None) -> SendResult | None:
        if self._gateway.find_url is None:
            raise CannotAsk("generic: no address to find a message at is set")
        values = self._account | {"client_id": client_id}
        answer = await self._wire.ask(
            "GET", fill_url(self._gateway.find_url, values), headers=self._headers(values)
        )
        if answer.status == 404:
            return None
        if not answer.is_success:
            raise self._wire.refused(answer)
        result = self._result(answer)
        if result is None:
            raise TemporaryFailure(f"generic: nothing at {self._gateway.id_path!r} in the answer")
        return result if result.segments else _with_parts(result, "")

    def parse_receipt(
        self, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> list[Receipt]:
        document = _receipt_document(body, headers, query)
        found = _at(document, self._gateway.receipt_list_path)
        entries = cast("list[object]", found) if isinstance(found, list) else [found]
        return [self._receipt(entry) for entry in entries]

    async def balance(self) -> Balance | None:
        if self._gateway.balance_url is None:
            return None
        values = self._account | {"client_id": ""}
        url = fill_url(self._gateway.balance_url, values)
        answer = await self._wire.ask("GET", url, headers=self._headers(values))
        amount = money_of(_at(answer.fields, self._gateway.balance_path))
        if not answer.is_success or amount is None:
            raise self._wire.refused(answer)
        return Balance(amount, self._currency_in(answer))

    async def close(self) -> None:
        await self._wire.close()

    def _headers(self, values: Mapping[str, str | None]) -> dict[str, str]:
        return {name: fill_text(value, values) for name, value in self._gateway.headers.items()}

    def _refuse_if_error(self, answer: Answer) -> None:
        path = self._gateway.error_path
        error = _at(answer.fields, path) if path else None
        if answer.is_success and (error is None or str(error) in _NO_ERROR):
            return
        if text_of(error) in self._gateway.temporary_errors:
            raise TemporaryFailure(f"generic: error {self._wire.masked(text_of(error))}")
        raise self._wire.refused(answer, error)

    def _result(self, answer: Answer) -> SendResult | None:
        """Segments are 0 where the gateway does not tell them."""
        gateway = self._gateway
        provider_id = text_of(_at(answer.fields, gateway.id_path))
        if not provider_id:
            return None
        parts = count_of(_at(answer.fields, gateway.segments_path)) if gateway.segments_path else None
        cost = money_of(_at(answer.fields, gateway.cost_path)) if gateway.cost_path else None
        return SendResult(provider_id, parts or 0, cost, self._currency_in(answer))

    def _currency_in(self, answer: Answer) -> str:
        path = self._gateway.currency_path
        told = text_of(_at(answer.fields, path)) if path else ""
        return told if re.fullmatch(r"[A-Z]{3}", told) else self._currency

    def _receipt(self, entry: object) -> Receipt:
        gateway = self._gateway
        provider_id = text_of(_at(entry, gateway.receipt_id_path))
        state = gateway.receipt_states.get(text_of(_at(entry, gateway.receipt_status_path)))
        if not provider_id or state is None:
            raise BadReceipt(
                f"{gateway.receipt_id_path!r} and a known {gateway.receipt_status_path!r} are required"
            )
        error = text_of(_at(entry, gateway.receipt_error_path)) if gateway.receipt_error_path else ""
        at = _at(entry, gateway.receipt_at_path) if gateway.receipt_at_path else None
        return Receipt(provider_id, state, masked(error) if error not in _NO_ERROR else None, _moment(at))


def _check(gateway: Gateway) -> None:
    """Raise WrongTemplate for what could only fail when the first message is sent."""
    check_names("url", gateway.url, _OF_THE_ACCOUNT | _OF_A_MESSAGE)
    check_names("body", gateway.body, _OF_THE_ACCOUNT | _OF_A_MESSAGE)
    for name, value in (("find_url", gateway.find_url), ("balance_url", gateway.balance_url)):
        check_names(name, value, _OF_THE_ACCOUNT | {"client_id"})
    check_names("headers", dict(gateway.headers), _OF_THE_ACCOUNT | {"client_id"})
    if not gateway.id_path:
        raise WrongTemplate("id_path: say where the answer holds the message's id, such as data.id")
    if gateway.body_as != "json":
        body = gateway.body
        fields = cast("dict[str, object]", body) if isinstance(body, dict) else None
        if fields is None or not all(isinstance(value, str) for value in fields.values()):
            raise WrongTemplate(f"body: a {gateway.body_as} is an object with only strings in it")


def _at(document: object, path: str) -> object:
    """The value at a path such as "data.0.id"; the document itself for an empty path, None for nothing."""
    for step in path.split(".") if path else ():
        if isinstance(document, dict):
            document = cast("dict[str, object]", document).get(step)
        elif isinstance(document, list) and re.fullmatch(r"[0-9]{1,4}", step):
            entries = cast("list[object]", document)
            document = entries[int(step)] if int(step) < len(entries) else None
        else:
            return None
    return document


def _receipt_document(body: bytes, headers: Mapping[str, str], query: Mapping[str, str]) -> object:
    if "json" not in headers.get("content-type", ""):
        return receipt_form(body, query)
    try:
        return read_json(body)
    except ValueError as error:
        raise BadReceipt("the body is not JSON") from error


def _with_parts(result: SendResult, text: str) -> SendResult:
    return SendResult(result.provider_id, segments.count(text).parts, result.cost, result.currency)


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else None
        except (ValueError, OverflowError):
            return moment_of(value)  # not a date in words: perhaps a Unix time
    return moment_of(value)
