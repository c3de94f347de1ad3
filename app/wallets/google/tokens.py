"""Access tokens of the service account: google-auth asks for them, in a thread, one at a time."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx2
from google.auth import exceptions
from google.auth.crypt import RSASigner
from google.auth.transport import Request, Response
from google.oauth2 import service_account

from app.errors import TemporaryFailure
from app.wallets.google.errors import IssuerRefused
from app.wallets.google.service_account import ServiceAccount

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"

_EARLY = timedelta(minutes=5)  # before the hour is over: a token must not expire on its way
_SECONDS = 10.0


class AccessTokens:
    """The newest access token; another is fetched shortly before it expires, or when it was refused."""

    def __init__(self, account: ServiceAccount) -> None:
        signer = RSASigner(account.private_key, account.key_id)
        self._credentials: Any = service_account.Credentials(
            signer, account.email, account.token_uri, scopes=[SCOPE]
        )
        self._refreshing = asyncio.Lock()

    async def current(self, *, refused: str | None = None) -> str:
        """A token to send; never the one that was `refused`.

        Raises TemporaryFailure when Google does not answer, IssuerRefused when it does not know the account.
        """
        async with self._refreshing:
            if self._is_stale() or self._credentials.token == refused:
                await asyncio.to_thread(self._refresh)
            return str(self._credentials.token)

    def _is_stale(self) -> bool:
        expiry: datetime | None = self._credentials.expiry  # google-auth's are naive, in UTC
        return expiry is None or expiry.replace(tzinfo=UTC) - _EARLY <= datetime.now(UTC)

    def _refresh(self) -> None:
        try:
            self._credentials.refresh(_Transport())
        except exceptions.TransportError as error:
            raise TemporaryFailure("Google: the token endpoint does not answer") from error
        except exceptions.RefreshError as error:
            if cast(bool, error.retryable):  # pyright: ignore[reportUnknownMemberType]
                raise TemporaryFailure("Google: the token endpoint is busy") from error
            raise IssuerRefused(
                "Google gives this service account no token: its key was deleted, or is another's"
            ) from error


class _Transport(Request):
    """What google-auth sends its request with."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_kwargs: object,
    ) -> "_Answer":
        try:
            with httpx2.Client(timeout=timeout or _SECONDS) as client:
                return _Answer(client.request(method, url, content=body, headers=dict(headers or {})))
        except httpx2.HTTPError as error:
            raise exceptions.TransportError(str(error)) from error


class _Answer(Response):
    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.content
