"""A browser maker's push service, and the browsers behind it, as one ASGI application for loopback.

Contracts: RFC 8030 (the request), RFC 8291 (only the browser can read it), RFC 8292 (who sends it).
"""

import json
import secrets
from dataclasses import dataclass, field

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers

from app.wallets.web.encryption import content_keys, from_base64url, to_base64url

BODY_OCTETS_MAX = 4096
_HEADER_OCTETS = 86  # salt, record size, the length of the key, the key


@dataclass
class SimulatedBrowser:
    """A browser that asked for pushes; `shown` are the notifications it put on the screen."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    shown: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    is_gone: bool = False

    def subscription(self) -> dict[str, object]:
        """What its PushSubscription.toJSON() gives."""
        keys = {"p256dh": to_base64url(self._point()), "auth": to_base64url(self.secret)}
        return {"endpoint": self.endpoint, "keys": keys}

    def read(self, body: bytes) -> dict[str, str]:
        """The message of a push. Raises InvalidTag for one that was not meant for this browser."""
        salt, point = body[:16], body[21:_HEADER_OCTETS]
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        shared = self.key.exchange(ec.ECDH(), sender)
        key, nonce = content_keys(shared, self.secret, salt, browser=self._point(), sender=point)
        padded = AESGCM(key).decrypt(nonce, body[_HEADER_OCTETS:], None)
        return json.loads(padded[: padded.rindex(b"\x02")])

    def _point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class WebPushSimulator:
    """Serve `app` with `app.simulators.serving.serve`, and set `url` to its address.

    `answer_next(status)` makes the next request fail with that status.
    """

    def __init__(self) -> None:
        self.url = ""
        self.browsers: dict[str, SimulatedBrowser] = {}
        self.requests = 0
        self._planned: list[tuple[int, dict[str, str]]] = []
        self.app = FastAPI(openapi_url=None)
        self.app.post("/push/{name}")(self._push)

    def open_browser(self) -> SimulatedBrowser:
        """A browser whose person has just said yes to notifications."""
        name = secrets.token_urlsafe(12)
        self.browsers[name] = SimulatedBrowser(f"{self.url}/push/{name}")
        return self.browsers[name]

    def answer_next(self, status: int, headers: dict[str, str] | None = None) -> None:
        """Answer one request with this status instead of taking it; calls queue up."""
        self._planned.append((status, headers or {}))

    async def _push(self, name: str, request: Request) -> Response:
        self.requests += 1
        body = await request.body()
        if self._planned:
            status, headers = self._planned.pop(0)
            return Response(status_code=status, headers=headers)
        browser = self.browsers.get(name)
        if browser is None or browser.is_gone:
            return Response(status_code=410)
        return Response(status_code=self._take(browser, body, request.headers))

    def _take(self, browser: SimulatedBrowser, body: bytes, headers: Headers) -> int:
        if not self._is_named(headers.get("authorization", "")):
            return 403
        if not headers.get("ttl", "").isdigit() or headers.get("content-encoding") != "aes128gcm":
            return 400
        if len(body) > BODY_OCTETS_MAX:
            return 413
        try:
            browser.shown.append(browser.read(body))
        except InvalidTag:
            return 400  # a real one would not know; the browser would drop it
        return 201

    def _is_named(self, authorization: str) -> bool:
        """Whether the sender signed for this service with the key it names. Its clock is its own affair."""
        parts = dict(
            part.strip().split("=", 1)
            for part in authorization.removeprefix("vapid ").split(",")
            if "=" in part
        )
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(parts["k"]))
            claims = jwt.decode(
                parts["t"],
                key,
                algorithms=["ES256"],
                audience=self.url,
                options={"verify_exp": False, "require": ["exp", "sub", "aud"]},
            )
        except (KeyError, ValueError, jwt.InvalidTokenError):
            return False
        return str(claims["sub"]).startswith(("https:", "mailto:"))
