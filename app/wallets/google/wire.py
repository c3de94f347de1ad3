"""The connections to Google Wallet: one request, or up to fifty gathered into one batch."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import orjson

from app import tls
from app.errors import PermanentFailure, TemporaryFailure
from app.wallets.google import batch
from app.wallets.google.errors import Answer
from app.wallets.google.tokens import AccessTokens

API_URL = "https://walletobjects.googleapis.com"
PATH = "/walletobjects/v1/"
DEADLINE_SECONDS = 10.0

# Google answers compressed only to a User-Agent with this word in it.
_HEADERS = {"Accept-Encoding": "gzip", "User-Agent": "Passbell (gzip)"}
_IDLE_SECONDS = 60.0
_GATHER_SECONDS = 0.02


Failure = TemporaryFailure | PermanentFailure


@dataclass(frozen=True)
class Request:
    """A call of the API: `path` such as "loyaltyObject/3388.card"."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] | None = None


class Wire:
    """Sends requests with the newest token. With `batches`, those of one moment travel together."""

    def __init__(self, tokens: AccessTokens, *, api_url: str, batches: bool, deadline_seconds: float) -> None:
        self._tokens = tokens
        self._url = api_url
        self._batches = batches
        self._deadline_seconds = deadline_seconds
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._client = httpx2.AsyncClient(
            verify=tls.outside(),
            headers=_HEADERS,
            timeout=deadline_seconds,
            limits=httpx2.Limits(max_connections=50, keepalive_expiry=_IDLE_SECONDS),
        )

    async def send(self, request: Request) -> Answer:
        """Any answer Google gives, a refusal too. Raises TemporaryFailure when there is none."""
        if not self._batches:
            return await self._authorized(request)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if len(self._waiting) == 1:
            self._start_sending(_GATHER_SECONDS)
        elif len(self._waiting) == batch.CALLS_MAX:
            self._start_sending(0.0)
        return await future

    def _start_sending(self, wait_seconds: float) -> None:
        sending = asyncio.create_task(self._send_gathered(wait_seconds))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def fetch(self, url: str) -> tuple[dict[str, Any], str]:
        """A public JSON object and its Cache-Control. Raises TemporaryFailure when there is none."""
        response = await self._exchange(self._client.build_request("GET", url))
        if response.status_code != 200:
            raise TemporaryFailure(f"Google: {url} answered {response.status_code}")
        return _object(response.content), response.headers.get("Cache-Control", "")

    async def close(self) -> None:
        await self._client.aclose()

    async def _authorized(self, request: Request) -> Answer:
        """Once more with a new token where the first was refused: it may have been revoked."""
        token = await self._tokens.current()
        answer = await self._send_one(request, token)
        if answer.status != 401:
            return answer
        return await self._send_one(request, await self._tokens.current(refused=token))

    async def _send_one(self, request: Request, token: str) -> Answer:
        response = await self._exchange(
            self._client.build_request(
                request.method,
                f"{self._url}{PATH}{request.path}",
                params=request.query,
                content=None if request.body is None else orjson.dumps(request.body),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
        )
        return Answer(response.status_code, _object(response.content))

    async def _send_gathered(self, wait_seconds: float) -> None:
        await asyncio.sleep(wait_seconds)
        calls, self._waiting = self._waiting[: batch.CALLS_MAX], self._waiting[batch.CALLS_MAX :]
        if self._waiting:
            self._start_sending(0.0)
        if not calls:
            return
        try:
            answers = await self._send_batch([request for request, _ in calls])
        except (TemporaryFailure, PermanentFailure) as failure:
            answers: list[Answer | Failure] = [failure] * len(calls)
        for (_, future), answer in zip(calls, answers, strict=True):
            if future.done():  # whoever asked was cancelled
                continue
            if isinstance(answer, Answer):
                future.set_result(answer)
            else:
                future.set_exception(answer)

    async def _send_batch(
        self, requests: list[Request]
    ) -> list[Answer | TemporaryFailure | PermanentFailure]:
        token = await self._tokens.current()
        content_type, body = batch.written([(each.method, _target(each), each.body) for each in requests])
        response = await self._exchange(
            self._client.build_request(
                "POST",
                f"{self._url}/batch",
                content=body,
                headers={"Authorization": f"Bearer {token}", "Content-Type": content_type},
            )
        )
        if response.status_code != 200:
            return [Answer(response.status_code, _object(response.content))] * len(requests)
        read = batch.read(response.headers.get("Content-Type", ""), response.content)
        lost = TemporaryFailure("Google: a part of the batch was not answered")
        return [read.get(number, lost) for number in range(len(requests))]

    async def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._client.send(request)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise TemporaryFailure(f"Google: no answer ({type(error).__name__})") from error


def _target(request: Request) -> str:
    return f"{PATH}{request.path}" + (f"?{httpx2.QueryParams(request.query)}" if request.query else "")


def _object(body: bytes) -> dict[str, Any]:
    try:
        read: object = orjson.loads(body)
    except ValueError:
        return {}  # an error page: the status says enough
    return cast("dict[str, Any]", read) if isinstance(read, dict) else {}
