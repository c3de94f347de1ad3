"""The simulator as a whole: its HTTP doors, the accounts that hold passes, and its callbacks to us."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl

import httpx2
import jwt
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.clock import Clock, utc_now
from app.simulators.google_wallet import batch
from app.simulators.google_wallet.answers import ISSUER_ID, Body, Call, Refused, Reply, bad_request
from app.simulators.google_wallet.callbacks import Event, SigningKeys, message_of
from app.simulators.google_wallet.faults import Faults, Quota
from app.simulators.google_wallet.images import Images
from app.simulators.google_wallet.notifying import Cause, Notification
from app.simulators.google_wallet.oauth import TokenEndpoint
from app.simulators.google_wallet.resources import Store, class_kind
from app.simulators.google_wallet.wallet_api import WalletApi
from app.simulators.serving import serve

log = structlog.get_logger(__name__)

_CALLBACK_SECONDS = 5.0


@dataclass
class Account:
    """A Google account, the same on all its phones: what it holds, and what its lock screen has shown."""

    name: str
    held: list[str] = field(default_factory=list[str])  # ids of objects
    notifications: list[Notification] = field(default_factory=list[Notification])
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # set with everything new to be shown


@dataclass(frozen=True)
class Card:
    """What a phone draws: a class, an object of it, and which kind they are ("loyalty")."""

    kind: str
    of_class: Body
    of_object: Body


class GoogleWalletSimulator:
    """Google's side. `app` is its ASGI application; `account` what a phone signed in with."""

    def __init__(
        self,
        public_keys: Mapping[str, str],
        *,
        requests_per_second: float = 20.0,
        callback_waits: Sequence[float] = (0.2, 1.0, 5.0),
        fetches_images: bool = False,
        clock: Clock = utc_now,
    ) -> None:
        """`public_keys` are those of the service accounts (PEM, by e-mail), all users of the issuer.

        `callback_waits` are the seconds before each repetition of a callback that was not answered 2xx.
        """
        self.tokens = TokenEndpoint(public_keys)
        self.permitted = set(public_keys)  # a test takes one out: an account that is no user of the issuer
        self.keys = SigningKeys(clock())
        self.faults = Faults()
        self.refuse_bodies = ""  # why every write is refused, as for a picture that is away
        self.quota = Quota(requests_per_second)
        self.store = Store()
        self.api = WalletApi(self.store, on_changed=self._on_changed, on_rang=self._on_rang)
        self.calls: list[Call] = []
        self._accounts: dict[str, Account] = {}
        self.clock = clock
        self._callback_waits = callback_waits
        self._images = Images() if fetches_images else None
        self._posting: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/walletobjects/v1/{path:path}", self._rest, methods=["GET", "POST", "PATCH", "PUT"]),
                Route("/batch", self._batch, methods=["POST"]),
                Route("/gp/m/issuer/keys", self._root_keys),
                Route("/gp/v/save/{token}", self._save_page),
            ]
        )

    # What a phone does

    def account(self, name: str) -> Account:
        """The account of this name, made when first named."""
        return self._accounts.setdefault(name, Account(name))

    def save(self, account: Account, save_link: str) -> list[str]:
        """Tap the link: the account holds its objects from now on. Gives their ids.

        Raises Refused when the link is forged, not for Google Wallet, or names what does not exist.
        """
        saved = self.api.saved_by_link(self._payload(save_link.rsplit("/", 1)[-1]), self.clock())
        for kind, object_id in saved:
            if object_id not in account.held:
                account.held.append(object_id)
                self.api.set_users(kind, object_id, has_users=True)
                self._call_back("save", kind, object_id)
        account.changed.set()
        return [object_id for _, object_id in saved]

    def remove(self, account: Account, object_id: str) -> None:
        """Remove a pass from an account."""
        account.held.remove(object_id)
        kind = self.store.kind_of(object_id)
        assert kind is not None
        is_held = any(object_id in each.held for each in self._accounts.values())
        self.api.set_users(kind, object_id, has_users=is_held)
        self._call_back("del", kind, object_id)
        account.changed.set()

    def card(self, object_id: str) -> Card:
        """What a phone shows of an object. Raises Refused when there is none."""
        kind = self.store.kind_of(object_id) or ""
        body = self.store.get(kind, object_id)
        return Card(kind.removesuffix("Object"), self.store.get(class_kind(kind), body["classId"]), body)

    # What Google does by itself

    def _on_changed(self, kind: str, body: Body) -> None:
        for account in self._holders(body["id"]):
            account.changed.set()

    def _on_rang(self, resource_id: str, cause: Cause, message: Body) -> None:
        for account in self._holders(resource_id):
            for object_id in self._concerned(account, resource_id):
                account.notifications.append(self._notification(object_id, cause, message))

    def _holders(self, resource_id: str) -> list[Account]:
        return [each for each in self._accounts.values() if self._concerned(each, resource_id)]

    def _concerned(self, account: Account, resource_id: str) -> list[str]:
        of_class = set(self.store.objects_of(resource_id))
        return [each for each in account.held if each == resource_id or each in of_class]

    def _notification(self, object_id: str, cause: Cause, message: Body) -> Notification:
        shown = self.card(object_id).of_class
        title = str(shown.get("issuerName") or shown.get("programName") or "Google Wallet")
        text = "New message" if cause == "message" else "Your card was updated"
        return Notification(object_id, cause, title, text, self.clock())

    def _call_back(self, event: Event, kind: str, object_id: str) -> None:
        body = self.store.get(kind, object_id)
        of_class = self.store.get(class_kind(kind), body["classId"])
        url = of_class.get("callbackOptions", {}).get("url") or self.api.callback_url
        if url is None:
            return
        message = message_of(event, body["classId"], object_id, now=self.clock())
        posting = asyncio.create_task(self._post(url, self.keys.signed(ISSUER_ID, message)))
        self._posting.add(posting)
        posting.add_done_callback(self._posting.discard)

    async def _post(self, url: str, callback: Body) -> None:
        async with httpx2.AsyncClient(timeout=_CALLBACK_SECONDS, trust_env=False) as client:
            for wait in (0.0, *self._callback_waits):
                await asyncio.sleep(wait)
                try:
                    if (await client.post(url, json=callback)).is_success:
                        return
                except httpx2.HTTPError as error:
                    log.info("google.callback_failed", reason=type(error).__name__)
        log.warning("google.callback_not_taken", url=url)

    async def delivered(self) -> None:
        """Wait until every callback so far was taken, or given up."""
        await asyncio.gather(*self._posting)

    async def stop(self) -> None:
        """Give up the callbacks under way."""
        for posting in self._posting:
            posting.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)
        if self._images:
            await self._images.close()

    # Doors

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        return _json(self.tokens.answer(form, self.clock()))

    async def _rest(self, request: Request) -> Response:
        try:
            body = await _json_body(request)
        except Refused as refused:
            return _json(refused.reply)
        call = Call(
            request.method,
            request.path_params["path"],
            dict(request.query_params),
            body,
            request.headers.get("authorization", ""),
        )
        await asyncio.sleep(self.faults.slow_seconds)
        if self.faults.happens(self.faults.reset):
            if self.faults.happens(0.5):
                await self._answer(call)
            return _Cut()
        reply = await self._answer(call)
        may_be_lost = call.method != "GET" and call.path.endswith(self.faults.lost_at)
        if may_be_lost and reply.status == 200 and self.faults.happens(self.faults.lost):
            reply = Refused(503, "backendError", "Service unavailable.", domain="global").reply
        return _json(reply)

    async def _answer(self, call: Call) -> Reply:
        now = self.clock()
        try:
            account = self.tokens.account_of(call.authorization, now)
            if account is None:
                raise Refused(401, "authError", "Invalid Credentials", domain="global")
            if self.faults.happens(self.faults.busy):
                raise Refused(429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")
            self.quota.take(now)
            self.calls.append(call)
            if account not in self.permitted:
                raise Refused(403, "permissionDenied", f"Permission denied for issuer {ISSUER_ID}.")
            if self.refuse_bodies and call.method != "GET":
                raise bad_request(self.refuse_bodies, "invalidImage")
            if self._images:
                await self._images.check(call.body or {})
            return self.api.answer(call, now)
        except Refused as refused:
            return refused.reply

    async def _batch(self, request: Request) -> Response:
        authorization = request.headers.get("authorization", "")
        content_type = request.headers.get("content-type", "")
        try:
            calls = batch.calls_in(content_type, await request.body(), authorization)
        except Refused as refused:
            return _json(refused.reply)
        replies = [(content_id, await self._answer(call)) for content_id, call in calls]
        answered_as, body = batch.written(replies)
        return Response(body, headers={"Content-Type": answered_as})

    async def _root_keys(self, _request: Request) -> Response:
        return JSONResponse(self.keys.published(), headers={"Cache-Control": "public, max-age=86400"})

    async def _save_page(self, request: Request) -> Response:
        """What a browser sees of a save link: which objects it saves. A phone calls `save` instead."""
        try:
            payload = self._payload(request.path_params["token"])
        except Refused as refused:
            return _json(refused.reply)
        return JSONResponse(payload)

    def _payload(self, token: str) -> dict[str, list[Body]]:
        try:
            issuer: str = jwt.decode(token, options={"verify_signature": False})["iss"]
            claims = jwt.decode(
                token,
                self.tokens.public_keys[issuer],
                algorithms=["RS256"],
                audience="google",
                options={"verify_iat": False, "require": ["iss", "aud", "iat"]},
            )
        except (jwt.InvalidTokenError, KeyError) as error:
            raise bad_request("Something went wrong. Please try again.", "invalidJwt") from error
        if claims.get("typ") != "savetowallet" or issuer not in self.permitted:
            raise bad_request("Something went wrong. Please try again.", "invalidJwt")
        return cast("dict[str, list[Body]]", claims["payload"])


class _Cut(Response):
    """Ends the connection in the middle of an answer."""

    async def __call__(self, scope: object, receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


def _json(reply: Reply) -> Response:
    return JSONResponse(reply.body, reply.status)


async def _json_body(request: Request) -> Body | None:
    text = await request.body()
    if not text:
        return None
    try:
        body: object = json.loads(text)
    except ValueError as error:
        raise bad_request("Parse Error", "parseError") from error
    if not isinstance(body, dict):
        raise bad_request("Parse Error", "parseError")
    return cast("Body", body)


@contextlib.asynccontextmanager
async def running(simulator: GoogleWalletSimulator, *, port: int = 0) -> AsyncGenerator[str]:
    """The simulator on a real loopback socket; gives its base URL."""
    async with serve(simulator.app, port=port) as base_url:
        try:
            yield base_url
        finally:
            await simulator.stop()
