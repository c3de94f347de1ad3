"""The edge: a request id, security headers, the access line, and a deadline for slow bodies."""

import asyncio
import time
from functools import cache
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.db import new_id
from app.metrics import REQUEST_SECONDS, REQUESTS
from app.web.errors import refusal, unexpected

log = structlog.get_logger("passbell.access")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
QUIET = ("/healthz", "/readyz", "/metrics")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """Outermost: numbers each request, counts and logs its answer, and adds the headers every answer has."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if is_https else {})
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        structlog.contextvars.bind_contextvars(request_id=request_id)  # in every line this request logs
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                added = [header for header in self._headers if header[0] not in names]
                message["headers"] = [*given, (b"x-request-id", request_id.encode()), *added]
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except Exception:
            # The server logs whatever goes on from here, but its own answer would lack the headers.
            if not status:
                await unexpected(Request(scope))(scope, receive, send_marked)
            raise
        finally:
            _note(scope, status, time.perf_counter() - started)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = _route_of(scope)
    # A caller may invent any method: each would be a time series of its own.
    method = scope["method"] if scope["method"] in METHODS else "other"
    counter, histogram = _series(method, route, status)
    counter.inc()
    histogram.observe(seconds)
    path: str = scope["path"]
    # After a push every phone asks, and a line for each "nothing new" would cost more than its answer. What a
    # source delivers lies in the inbox with its time.
    is_kept = status == 202 and path.startswith("/hooks/")
    if status not in (204, 304) and not is_kept and path not in QUIET and not path.startswith("/static/"):
        log.info("request", method=method, path=path, status=status, ms=round(seconds * 1000, 1))


@cache  # finding a series costs more than counting in it; there are as many as methods, routes and statuses
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(route)


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
        is_complete, has_answered, is_late = False, False, False

        async def receive_in_time() -> Message:
            nonlocal is_complete, is_late
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                is_late = True
                raise
            is_complete = not message.get("more_body", False)
            return message

        async def send_noted(message: Message) -> None:
            nonlocal has_answered
            if is_late and not has_answered:
                return  # the endpoint took the lateness for a broken body; the answer below says more
            has_answered = True
            await send(message)

        try:
            await self._app(scope, receive_in_time, send_noted)
        except TimeoutError:
            if not is_late or has_answered:
                raise
        if is_late and not has_answered:
            detail = f"the request body did not arrive within {self._seconds:g} seconds"
            late = refusal(Request(scope), 408, "body_too_slow", detail, headers={"Connection": "close"})
            await late(scope, receive, send)


def _has_body(scope: Scope) -> bool:
    # Every request comes through here: the bare list is read, once.
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            return True
    return False
