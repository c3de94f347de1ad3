"""The doors that are asked the most, answered before the framework's layers, which cost twice the answer.

After a push every phone asks at once, and tills never stop. A door is a plain route, tried by its pattern;
one that answers None has done nothing, and the request goes on to the framework's door for the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.answer_times import Measured

Door = Callable[[Request], Awaitable[Response | None]]


@dataclass(frozen=True, slots=True)
class _Open:
    """A door with what it is tried by. `scope` is what its requests carry, for the metrics."""

    route: Route
    methods: frozenset[str]
    match: Callable[[str], Any]
    door: Door


class DirectDoors:
    """Answers the requests of these routes itself; errors are answered as the application's table says.

    How long phones waited for their answers is `measured`: of what comes without a body, for a caller that
    drips one would look like our slowness.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[Route], measured: Measured) -> None:
        self._app, self._measured = app, measured
        self._open = [
            _Open(route, frozenset(route.methods or ()), route.path_regex.match, cast(Door, route.endpoint))
            for route in routes
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        with self._measured.answer() if scope["method"] == "GET" else nullcontext():
            answer = await _answered(found.door, request)
        if answer is None:
            await self._app(scope, _again(request, receive), send)
        else:
            await answer(scope, receive, send)

    def _find(self, scope: Scope) -> _Open | None:
        path, method = scope["path"], scope["method"]
        for each in self._open:
            if method in each.methods and (match := each.match(path)) is not None:
                scope["route"], scope["path_params"] = each.route, match.groupdict()
                return each
        return None


async def _answered(door: Door, request: Request) -> Response | None:
    try:
        return await door(request)
    except Exception as error:
        handlers = cast(FastAPI, request.app).exception_handlers
        for kind in type(error).__mro__:
            if kind in handlers and kind is not Exception:  # what nobody expected is the edge's to answer
                return await cast("Awaitable[Response]", handlers[kind](request, error))
        raise


def _again(request: Request, receive: Receive) -> Receive:
    """The body that the door has read, once more."""
    read: bytes | None = getattr(request, "_body", None)
    if read is None:
        return receive
    is_told = False

    async def receive_again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": read, "more_body": False}

    return receive_again
