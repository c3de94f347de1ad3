"""The edge: a request id, security headers, the access line, and a deadline for slow bodies."""

import asyncio
import time
from typing import Any

import orjson
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.db import new_id
from app.metrics import REQUEST_SECONDS, REQUESTS
from app.web.errors import DOCS, MEDIA_TYPE

log = structlog.get_logger("passbell.access")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
QUIET = ("/healthz", "/readyz", "/metrics", "/static")


class Edge:
    """Outermost: numbers each request, counts and logs its answer, and adds the headers every answer has."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = {**HEADERS}
        if is_https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        finally:
            _note(scope, request_id, status, time.perf_counter() - started)


def _note(scope: Scope, request_id: str, status: int, seconds: float) -> None:
    route = _route_of(scope)
    REQUESTS.labels(scope["method"], route, status).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    # After a push every phone asks, and a line for each "nothing new" would cost more than its answer.
    if status not in (204, 304) and not scope["path"].startswith(QUIET):
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=request_id,
        )


def _route_of(scope: Scope) -> str:
    """The route's pattern, never the address itself: its ids would make endless time series."""
    route: Any = scope.get("route")
    return getattr(route, "path", None) or "unmatched"


class BodyDeadline:
    """A request body must arrive within the deadline; a client that drips bytes is answered 408."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._seconds
        is_complete, has_answered = False, False

        async def receive_in_time() -> Message:
            nonlocal is_complete
            if is_complete:
                return await receive()
            async with asyncio.timeout_at(deadline):
                message = await receive()
            is_complete = not message.get("more_body", False)
            return message

        async def send_noted(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await self._app(scope, receive_in_time, send_noted)
        except TimeoutError:
            if is_complete or has_answered:
                raise
            await _answer_late(send, self._seconds)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _answer_late(send: Send, seconds: float) -> None:
    detail = f"The request body did not arrive within {seconds:g} seconds."
    body = {"type": f"{DOCS}body_too_slow", "title": "Body too slow", "status": 408, "code": "body_too_slow"}
    await send(
        {
            "type": "http.response.start",
            "status": 408,
            "headers": [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")],
        }
    )
    await send({"type": "http.response.body", "body": orjson.dumps(body | {"detail": detail})})
