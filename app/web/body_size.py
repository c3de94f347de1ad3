"""Too large a body, refused with a problem like any other: by its Content-Length, or as its bytes come in.

The framework's own limit answers plain text and lets nobody change that.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.errors import refusal


class BodySize:
    """Answers 413 to a body beyond the limit, before a byte is read where its length is declared."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self._app, self._limit_bytes = app, limit_bytes
        self._detail = f"the body may have at most {limit_bytes} bytes: send it in parts"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared_bytes(scope) > self._limit_bytes:
            headers = {"Connection": "close"}  # the body is still on its way
            answer = refusal(Request(scope), 413, "body_too_large", self._detail, headers=headers)
            await answer(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit_bytes:
                raise HTTPException(413, self._detail, headers={"Connection": "close"})
            return message

        await self._app(scope, receive_limited, send)


def _declared_bytes(scope: Scope) -> int:
    """What the Content-Length says; 0 where it says nothing that can be read."""
    # Every request comes through here: the bare list is read, once.
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
