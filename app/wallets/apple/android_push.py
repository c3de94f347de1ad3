"""The push services of the Android wallets that speak Apple's pass protocol: WalletPasses and Pass2U."""

import asyncio
from collections.abc import Iterable
from urllib.parse import quote

import httpx2

from app import tls
from app.errors import PermanentFailure, TemporaryFailure
from app.wallets.apple.pusher import (
    DEADLINE_SECONDS,
    OnResult,
    PassPusher,
    PushOutcome,
    PushRejected,
    PushResult,
    notify_each,
)

PUSH_TOKEN_LENGTH_MAX = 4096  # Google's registration ids have grown before; this only keeps nonsense out
AT_ONCE = 10  # of many devices: these services say nothing about how many they like
WAIT_SECONDS = 60.0  # after a 429 that does not say how long


def open_walletpasses_push(
    *, topic: str, url: str, api_key: str | None, deadline_seconds: float = DEADLINE_SECONDS
) -> PassPusher:
    """WalletPasses for Android. Without an API key it works too, at a lower rate.

    Source: walletpasses.io, "Push notifications" (POST /api/v1/push, the key bare in Authorization).
    """
    return AndroidPush(
        f"{url.rstrip('/')}/api/v1/push",
        tokens_key="pushTokens",
        fixed={"passTypeIdentifier": topic},
        headers={"Authorization": api_key} if api_key else {},
        deadline_seconds=deadline_seconds,
    )


def open_pass2u_push(
    *, topic: str, url: str, api_key: str, deadline_seconds: float = DEADLINE_SECONDS
) -> PassPusher:
    """Pass2U Wallet for Android. Source: pass2u.net/apiPushNotification, version 2.0."""
    return AndroidPush(
        f"{url.rstrip('/')}/v2/registrations/{quote(topic, safe='')}/push",
        tokens_key="registrationIds",
        fixed={},
        headers={"x-api-key": api_key, "Accept": "application/json"},
        deadline_seconds=deadline_seconds,
    )


class AndroidPush:
    """`PassPusher` for a service that takes a list of tokens by POST; its pushes have no id."""

    def __init__(
        self,
        url: str,
        *,
        tokens_key: str,
        fixed: dict[str, str],
        headers: dict[str, str],
        deadline_seconds: float,
    ) -> None:
        self._url = url
        self._tokens_key = tokens_key
        self._fixed = fixed
        self._client = httpx2.AsyncClient(verify=tls.outside(), headers=headers, timeout=deadline_seconds)
        self._deadline_seconds = deadline_seconds

    async def notify_changed(self, push_token: str) -> PushResult:
        """Ask one device to fetch its changed passes; see PassPusher.

        Raises PermanentFailure, which concerns this device only, when the request is refused for
        another reason than our key.
        """
        if not 0 < len(push_token) <= PUSH_TOKEN_LENGTH_MAX:
            return PushResult(PushOutcome.DEVICE_GONE, None, "BadDeviceToken")
        try:
            async with asyncio.timeout(self._deadline_seconds):  # the client's own limits each single read
                answer = await self._client.post(
                    self._url, json={**self._fixed, self._tokens_key: [push_token]}
                )
        except (httpx2.HTTPError, OSError) as error:  # TLS alerts come through as OSError
            raise TemporaryFailure(f"{self._url}: {error or type(error).__name__}") from error
        return self._read(answer)

    async def notify_many(self, push_tokens: Iterable[str], on_result: OnResult) -> None:
        await notify_each(self, push_tokens, on_result, at_once=AT_ONCE)

    async def close(self) -> None:
        await self._client.aclose()

    def _read(self, answer: httpx2.Response) -> PushResult:
        status = answer.status_code
        if answer.is_success:
            return PushResult(PushOutcome.ACCEPTED)
        if status == 410:
            return PushResult(PushOutcome.DEVICE_GONE, None, "Gone")

        message = f"{self._url} answered {status}"
        if status in (401, 403):
            raise PushRejected(f"{message}: check the API key in the settings", reason=f"HTTP {status}")
        if status in (408, 429) or status >= 500:
            raise TemporaryFailure(message, retry_after_seconds=_wait(answer))
        raise PermanentFailure(message)


def _wait(answer: httpx2.Response) -> float | None:
    asked = answer.headers.get("retry-after", "")
    if asked.isascii() and asked.isdigit():
        return float(asked)
    return WAIT_SECONDS if answer.status_code == 429 else None
