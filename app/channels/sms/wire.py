"""One HTTP exchange with a gateway, with its outcomes told apart.

What decides is whether the gateway can have taken the request. A refused connection, 408, 429 and 503 mean
surely not; an answer lost after sending, any other 5xx and a 2xx nobody can read mean: unknown.
"""

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NoReturn, cast
from urllib.parse import parse_qsl

import httpx2

from app import tls
from app.channels.sms import BadReceipt, OutcomeUnknown
from app.errors import PermanentFailure, TemporaryFailure

DEADLINE_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 2.0  # shorter than any server's own: a request never meets a connection just being closed
_NOT_TAKEN = {408, 429, 503}
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_WRONGLY_SET_UP = (
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
    UnicodeError,
)
_NUMBER_LIKE = re.compile(r"\+?\d[\d\s().\-]{3,}\d")
_REASON_LENGTH_MAX = 160

# The client logs every request's whole URL at INFO, and some gateways want their key in it.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Answer:
    """What a gateway said. `fields` is its JSON object, empty if it sent something else."""

    status: int
    fields: dict[str, object]

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Wire:
    """The connections to one gateway. `secrets` never appear in what is raised."""

    def __init__(
        self,
        name: str,
        *,
        auth: tuple[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._name = name
        self._secrets = tuple(secret for secret in secrets if secret)
        self._deadline_seconds = deadline_seconds
        self._client = httpx2.AsyncClient(
            verify=tls.outside(),
            auth=auth,
            timeout=httpx2.Timeout(deadline_seconds, connect=min(_CONNECT_SECONDS, deadline_seconds)),
            limits=httpx2.Limits(max_connections=20, keepalive_expiry=_IDLE_SECONDS),
            headers={"Accept": "application/json"},
        )

    async def hand_over(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send what must not be sent twice; gives a readable 2xx, or a 4xx for the caller to judge.

        Raises TemporaryFailure or PermanentFailure when it was surely not taken, OutcomeUnknown otherwise.
        """
        request = self._request(method, url, params, form, body, headers)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                response = await self._client.send(request)
        except _NEVER_SENT as error:
            raise TemporaryFailure(f"{self._name}: no connection") from error
        except _WRONGLY_SET_UP as error:
            raise PermanentFailure(f"{self._name}: the request cannot be sent: check its settings") from error
        except (httpx2.HTTPError, TimeoutError) as error:
            raise OutcomeUnknown(f"{self._name}: no answer ({type(error).__name__})") from error

        self._refuse_what_is_no_answer(response)
        if response.status_code >= 500:
            raise OutcomeUnknown(f"{self._name}: answered {response.status_code}")
        answer = Answer(response.status_code, _object(response.content))
        if answer.is_success and not answer.fields:
            raise OutcomeUnknown(f"{self._name}: answered {answer.status} with something other than JSON")
        return answer

    async def ask(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask what may be asked any number of times; gives any 2xx or 4xx answer.

        Raises TemporaryFailure when there is none, PermanentFailure when the settings are wrong.
        """
        request = self._request(method, url, params, form, None, headers)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                response = await self._client.send(request)
        except _WRONGLY_SET_UP as error:
            raise PermanentFailure(f"{self._name}: the request cannot be sent: check its settings") from error
        except (httpx2.HTTPError, TimeoutError) as error:
            raise TemporaryFailure(f"{self._name}: no answer ({type(error).__name__})") from error

        self._refuse_what_is_no_answer(response)
        if response.status_code >= 500:
            raise TemporaryFailure(f"{self._name}: answered {response.status_code}")
        return Answer(response.status_code, _object(response.content))

    def refused(self, answer: Answer, reason: object = None) -> PermanentFailure:
        """The failure to raise for a final refusal; phone numbers and secrets in `reason` are masked."""
        words = "" if reason in (None, "") else f": {self.masked(str(reason))}"
        return PermanentFailure(f"{self._name}: refused with {answer.status}{words}")

    def masked(self, text: str) -> str:
        """At most 160 characters, without this gateway's secrets and without anything like a phone number."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return masked(text)

    async def close(self) -> None:
        await self._client.aclose()

    def _request(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
        body: object,
        headers: Mapping[str, str] | None,
    ) -> httpx2.Request:
        try:
            return self._client.build_request(
                method, url, params=params, data=form, json=body, headers=dict(headers or {})
            )
        except (*_WRONGLY_SET_UP, ValueError) as error:
            raise PermanentFailure(f"{self._name}: the request cannot be sent: check its settings") from error

    def _refuse_what_is_no_answer(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status in _NOT_TAKEN:
            raise TemporaryFailure(
                f"{self._name}: busy, answered {status}",
                retry_after_seconds=_retry_after(response.headers.get("Retry-After")),
            )
        if not 200 <= status < 300 and status < 400:
            raise PermanentFailure(f"{self._name}: answered {status}, a redirect: check the address")


def masked(text: str) -> str:
    """At most 160 characters of `text`, with anything like a phone number cut down to its last two digits."""
    return _NUMBER_LIKE.sub(lambda match: "…" + match[0][-2:], text)[:_REASON_LENGTH_MAX]


def read_json(body: bytes) -> object:
    """A JSON document with numbers exact. Raises ValueError for anything else, however deep or long."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (RecursionError, InvalidOperation) as error:
        raise ValueError("not JSON that can be read") from error


def receipt_fields(body: bytes) -> dict[str, object]:
    """The JSON object of a receipt. Raises BadReceipt."""
    try:
        document = read_json(body)
    except ValueError as error:
        raise BadReceipt("the body is not JSON") from error
    if not isinstance(document, dict):
        raise BadReceipt("the body is not a JSON object")
    return cast("dict[str, object]", document)


def receipt_form(body: bytes, query: Mapping[str, str]) -> dict[str, str]:
    """The fields of a receipt sent as a form or in the query. Raises BadReceipt."""
    try:
        return {**query, **dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))}
    except ValueError as error:
        raise BadReceipt("the body is not a form") from error


def text_of(value: object) -> str:
    """An id or code as text, whether it was sent as a JSON string or number; empty for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else ""


def money_of(value: object) -> Decimal | None:
    """An amount sent as text or number; None for anything else."""
    try:
        amount = Decimal(text_of(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def count_of(value: object) -> int | None:
    """A positive whole number sent as text or number; None for anything else."""
    text = text_of(value)
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,8}", text) else None


def moment_of(value: object) -> datetime | None:
    """The moment of a Unix time in seconds; None for anything else."""
    text = text_of(value)
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch(r"[0-9]{1,11}", text) else None


def _object(body: bytes) -> dict[str, object]:
    try:
        document = read_json(body)
    except ValueError:
        return {}  # the callers treat a missing object as an unreadable answer
    return cast("dict[str, object]", document) if isinstance(document, dict) else {}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _retry_after(value: str | None) -> float | None:
    return float(value) if value is not None and re.fullmatch(r"[0-9]{1,6}", value) else None
