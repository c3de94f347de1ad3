"""Pushes to browsers that keep a web card, through the push service of each browser's maker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import urlsplit

import httpx2
import orjson

from app import tls
from app.errors import PermanentFailure, TemporaryFailure
from app.wallets.web.encryption import BrowserKeys, Vapid, encrypt

DEADLINE_SECONDS = 10.0
KEPT_SECONDS = 86_400  # a phone that was off for longer shows the newest state when the card is opened
WAIT_SECONDS = 60.0  # after a 429 that does not say how long


class WebPushed(Enum):
    """What a push service said."""

    ACCEPTED = "accepted"
    GONE = "gone"  # the browser took its permission back, or is no more


class VapidRefused(PermanentFailure):
    """A push service does not take our name: every push to it would be refused."""


@dataclass(frozen=True)
class Subscription:
    """Where a browser is pushed to, and the keys only it can read with."""

    endpoint: str
    keys: BrowserKeys


class WebPush:
    """Sends pushes; holds the connections. `hosts` are the services we call, "*.example.com" any below one.

    The address of a push comes from a browser, and so from anybody: no other host is ever called.
    """

    def __init__(self, vapid: Vapid, hosts: Sequence[str]) -> None:
        self.vapid = vapid
        self._hosts = hosts
        self._client = httpx2.AsyncClient(
            verify=tls.outside(), timeout=DEADLINE_SECONDS, follow_redirects=False
        )

    def is_known(self, endpoint: str) -> bool:
        """Whether an address belongs to a push service we call."""
        try:
            parts = urlsplit(endpoint)
            host = parts.netloc
        except ValueError:
            return False
        is_local = host.startswith("127.0.0.1:")  # a trial's own; no public service is there
        return (parts.scheme == "https" or is_local) and any(_matches(host, each) for each in self._hosts)

    async def send(
        self, subscription: Subscription, payload: dict[str, str], *, topic: str, now: datetime
    ) -> WebPushed:
        """Push one message. A later one with the same `topic` takes its place while the phone is away.

        Raises TemporaryFailure, VapidRefused, or PermanentFailure, which concerns this subscription only.
        """
        endpoint = subscription.endpoint
        headers = {
            "TTL": str(KEPT_SECONDS),
            "Urgency": "high",
            "Topic": topic,
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "Authorization": self.vapid.authorization(endpoint, now),
        }
        body = encrypt(orjson.dumps(payload), subscription.keys)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                answer = await self._client.post(endpoint, content=body, headers=headers)
        except (httpx2.HTTPError, OSError) as error:
            raise TemporaryFailure(f"web push: {error or type(error).__name__}") from error
        return _read(answer, urlsplit(endpoint).netloc)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _matches(host: str, known: str) -> bool:
    return host.endswith(known[1:]) if known.startswith("*.") else host == known


def _read(answer: httpx2.Response, host: str) -> WebPushed:
    status = answer.status_code
    if answer.is_success:
        return WebPushed.ACCEPTED
    if status in (404, 410):
        return WebPushed.GONE
    message = f"{host} answered {status}"
    if status in (401, 403):
        raise VapidRefused(f"{message}: it does not take our VAPID key")
    if status in (408, 429) or status >= 500:
        asked = answer.headers.get("retry-after", "")
        wait = float(asked) if asked.isascii() and asked.isdigit() else WAIT_SECONDS
        raise TemporaryFailure(message, retry_after_seconds=wait if status == 429 else None)
    raise PermanentFailure(message)
