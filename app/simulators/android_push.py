"""Stand-ins for the push services of WalletPasses and Pass2U, as one ASGI application for loopback.

Contracts: POST /api/v1/push of WalletPasses; pass2u.net/apiPushNotification, version 2.0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Header, Response
from pydantic import BaseModel, Field

PASS2U_TOKENS_MAX = 1000

OnPush = Callable[["AndroidPushed"], None]


@dataclass(frozen=True)
class AndroidPushed:
    """A push that was accepted: `push_service` is "walletpasses" or "pass2u"."""

    push_service: str
    topic: str
    push_token: str


class _WalletPassesPush(BaseModel):
    passTypeIdentifier: str = Field(min_length=1)
    pushTokens: list[str] = Field(min_length=1)


class _Pass2uPush(BaseModel):
    registrationIds: list[str] = Field(min_length=1, max_length=PASS2U_TOKENS_MAX)


class AndroidPushSimulator:
    """Both services. Serve `app` with `app.simulators.serving.serve`.

    WalletPasses takes requests without a key, but not with a wrong one; Pass2U demands its key.
    `answer_next(status)` makes the next request fail with that status.
    """

    def __init__(self, *, walletpasses_api_key: str | None = None, pass2u_api_key: str = "demo") -> None:
        self.accepted: list[AndroidPushed] = []
        self._walletpasses_api_key = walletpasses_api_key
        self._pass2u_api_key = pass2u_api_key
        self._listeners: dict[tuple[str, str], list[OnPush]] = {}
        self._planned: list[tuple[int, dict[str, str]]] = []
        self.app = FastAPI(openapi_url=None)
        self.app.post("/api/v1/push")(self._walletpasses)
        self.app.post("/v2/registrations/{pass_type_identifier}/push")(self._pass2u)

    def answer_next(self, status: int, headers: dict[str, str] | None = None) -> None:
        """Answer one request with this status instead of taking it; calls queue up."""
        self._planned.append((status, headers or {}))

    def on_push(self, push_service: str, push_token: str, callback: OnPush) -> Callable[[], None]:
        """Call `callback` for each push to the token from now on; returns the way to stop."""
        listeners = self._listeners.setdefault((push_service, push_token), [])
        listeners.append(callback)
        return lambda: listeners.remove(callback)

    async def _walletpasses(
        self, push: _WalletPassesPush, authorization: Annotated[str | None, Header()] = None
    ) -> Response:
        if authorization is not None and authorization != self._walletpasses_api_key:
            return Response(status_code=403)
        return self._take("walletpasses", push.passTypeIdentifier, push.pushTokens)

    async def _pass2u(
        self,
        pass_type_identifier: str,
        push: _Pass2uPush,
        x_api_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        if x_api_key != self._pass2u_api_key:
            return Response(status_code=403)
        return self._take("pass2u", pass_type_identifier, push.registrationIds)

    def _take(self, push_service: str, topic: str, push_tokens: list[str]) -> Response:
        if self._planned:
            status, headers = self._planned.pop(0)
            return Response(status_code=status, headers=headers)
        for push_token in push_tokens:
            pushed = AndroidPushed(push_service, topic, push_token)
            self.accepted.append(pushed)
            for listener in list(self._listeners.get((push_service, push_token), [])):
                listener(pushed)
        return Response(status_code=200)
