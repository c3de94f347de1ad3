"""A portal's REST: one call, a batch of fifty, and new tokens for old ones.

Source: https://github.com/bitrix-tools/b24-rest-docs (call forms, batch, limits, system errors). A portal
counts requests per address, not calls: what can be read together is read in a batch.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlencode

import httpx2

from app import tls
from app.errors import PermanentFailure, TemporaryFailure

DEADLINE_SECONDS = 30.0
BATCH_MAX = 50
OAUTH_URL = "https://oauth.bitrix24.tech/oauth/token/"

_ANSWER_BYTES_MAX = 8_000_000
# How long to leave the portal alone, by what it says. A bucket of 2 requests a second has room in a moment;
# the time a method may work is counted over ten minutes, in buckets of one; an overload is lifted by people.
_PAUSES = {
    "QUERY_LIMIT_EXCEEDED": 1.0,
    "OPERATION_TIME_LIMIT": 60.0,
    "OVERLOAD_LIMIT": 900.0,
    "INTERNAL_SERVER_ERROR": 10.0,
    "ERROR_UNEXPECTED_ANSWER": 10.0,
}

# The client logs every request's whole URL at INFO, and a webhook's secret stands in it.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class TokenExpired(TemporaryFailure):
    """The access token's hour is over: renew it and call again."""


class Refused(PermanentFailure):
    """The portal's final no; `code` is its own word for why, such as "ACCESS_DENIED"."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"Bitrix24: {code}: {description[:160]}")
        self.code = code


class NoJson(TemporaryFailure):
    """A web page came instead of an answer: a proxy, a portal that is being moved, a wrong address."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a portal lets us in. `url` ends with a slash; that of an incoming webhook is itself the secret."""

    url: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Command:
    """One call of a batch. A parameter may name an earlier one's result: "$result[deal][item][contactId]"."""

    method: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Batch:
    """What the calls of a batch came to, by name."""

    results: Mapping[str, Any]
    errors: Mapping[str, TemporaryFailure | Refused]


@dataclass(frozen=True, slots=True)
class Tokens:
    """An application's right of entry: an hour of access, and the means to get another."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    seconds: int


class Bitrix24Rest:
    """The connections to all portals. Holds a pool: close it."""

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._deadline_seconds = deadline_seconds
        self._client = httpx2.AsyncClient(
            verify=tls.outside(),
            timeout=httpx2.Timeout(deadline_seconds, connect=5.0),
            limits=httpx2.Limits(max_connections=20, keepalive_expiry=2.0),
            headers={"Accept": "application/json"},
        )
        self._alone: dict[str, asyncio.Lock] = {}

    def alone(self, portal: str) -> asyncio.Lock:
        """A lock of one portal's in this process: who waits for it may find the answer there already."""
        return self._alone.setdefault(portal, asyncio.Lock())

    async def call(self, access: Access, method: str, params: Mapping[str, object]) -> Any:
        """The "result" of one method.

        Raises TokenExpired, TemporaryFailure (NoJson where a web page came), Refused, PermanentFailure.
        """
        body = {**params, "auth": access.token} if access.token else dict(params)
        return (await self._ask("POST", f"{access.url}{method}", json=body))["result"]

    async def batch(self, access: Access, commands: Mapping[str, Command]) -> Batch:
        """Up to fifty calls as one request; one that fails keeps no other. Raises as `call` does."""
        if len(commands) > BATCH_MAX:
            raise ValueError(f"{len(commands)} commands: a batch has at most {BATCH_MAX}")
        lines = {
            name: f"{each.method}?{urlencode(list(_flat(each.params)))}" for name, each in commands.items()
        }
        result: dict[str, Any] = await self.call(access, "batch", {"halt": 0, "cmd": lines})
        errors = {name: _failure(error) for name, error in _mapping(result.get("result_error")).items()}
        for failure in errors.values():
            if isinstance(failure, TokenExpired):
                raise failure
        return Batch(_mapping(result.get("result")), errors)

    async def renew(self, refresh_token: str, *, client_id: str, client_secret: str, url: str) -> Tokens:
        """New tokens for an old refresh token. Raises as `call` does."""
        form = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
        }
        answer = await self._ask("POST", url, data=form)
        try:
            return Tokens(answer["access_token"], answer["refresh_token"], int(answer["expires_in"]))
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentFailure("Bitrix24: no tokens in the answer") from error

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, method: str, url: str, **body: Any) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                response = await self._client.request(method, url, **body)
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise PermanentFailure("Bitrix24: the portal's address cannot be called") from error
        except (httpx2.HTTPError, TimeoutError) as error:
            raise TemporaryFailure(f"Bitrix24: no answer ({type(error).__name__})") from error
        answer = _read(response)
        if "error" in answer:
            raise _failure(answer)
        return answer


def _read(response: httpx2.Response) -> dict[str, Any]:
    try:
        answer = json.loads(response.content[:_ANSWER_BYTES_MAX], parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise NoJson(f"Bitrix24: answered {response.status_code} with something other than JSON") from error
    if not isinstance(answer, dict) or not (
        "result" in answer or "error" in answer or "access_token" in answer
    ):
        raise NoJson(f"Bitrix24: answered {response.status_code} with JSON that is no answer")
    return cast("dict[str, Any]", answer)


def _failure(answer: Mapping[str, Any]) -> TemporaryFailure | Refused:
    code, description = str(answer.get("error", "")), str(answer.get("error_description", ""))
    if code.lower() == "expired_token":
        return TokenExpired("Bitrix24: the access token has expired")
    if (pause := _PAUSES.get(code.upper())) is not None:
        return TemporaryFailure(f"Bitrix24: {code}", retry_after_seconds=pause)
    return Refused(code or "ERROR", description)


def _mapping(value: object) -> dict[str, Any]:
    """A mapping of PHP's, which writes an empty one as a list."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _flat(params: Mapping[str, object], stem: str = "") -> list[tuple[str, str]]:
    """Nested parameters as the names PHP reads: filter[>id]=5."""
    pairs: list[tuple[str, str]] = []
    for key, value in params.items():
        name = f"{stem}[{key}]" if stem else key
        if isinstance(value, Mapping):
            pairs += _flat(cast("Mapping[str, object]", value), name)
        elif isinstance(value, list | tuple):
            items = cast("list[object]", value)
            pairs += _flat({str(number): each for number, each in enumerate(items)}, name)
        else:
            pairs.append((name, str(value)))
    return pairs
