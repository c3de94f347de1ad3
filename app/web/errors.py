"""Errors as problem+json (RFC 9457): which status and code each of the program's errors becomes.

Every problem has `type` (a page of the documentation), `title`, `status`, `detail`, `code` (stable,
snake_case) and `request_id`; a refused field stands in `errors` as {pointer, detail}.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.passes.issue import UnknownLink, UnknownPass

MEDIA_TYPE = "application/problem+json"
DOCS = "https://passbell.org/problems/"

# error -> (status, code). The detail is the error's own text.
TABLE: dict[type[Exception], tuple[int, str]] = {
    UnknownPass: (404, "unknown_pass"),
    UnknownLink: (404, "unknown_link"),
}

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_field",
    429: "too_many_requests",
    503: "unavailable",
}
_TITLES = {
    "invalid_field": "A field is not valid",
    "internal_error": "Something went wrong on our side",
}


class Problem(Exception):
    """An answer a door decides on by itself, where no rule's error says it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        pointer: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.pointer, self.headers = (
            status,
            code,
            detail,
            pointer,
            headers,
        )


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem+json answer."""
    body: dict[str, Any] = {
        "type": f"{DOCS}{code}",
        "title": _TITLES.get(code, code.replace("_", " ").capitalize()),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request.scope.get("state", {}).get("request_id", ""),
    }
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status, media_type=MEDIA_TYPE, headers=headers)


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the table, FastAPI's own and unexpected ones as problems."""
    for error_type in TABLE:
        app.add_exception_handler(error_type, _known)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _known(request: Request, error: Exception) -> JSONResponse:
    status, code = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    return problem(request, status, code, str(error))


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    errors = [{"pointer": error.pointer, "detail": error.detail}] if error.pointer else []
    return problem(request, error.status, error.code, error.detail, errors=errors, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"pointer": "/" + "/".join(str(part) for part in found["loc"]), "detail": str(found["msg"])}
        for found in error.errors()[:50]
    ]
    return problem(request, 422, "invalid_field", _summary(errors), errors=errors)


def _summary(errors: Sequence[dict[str, str]]) -> str:
    return "; ".join(f"{found['pointer']}: {found['detail']}" for found in errors[:3])


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "error")
    headers = dict(error.headers) if error.headers else None
    return problem(request, error.status_code, code, str(error.detail), headers=headers)


async def _unexpected(request: Request, _error: Exception) -> JSONResponse:
    # Starlette logs the traceback itself, after this answer.
    return problem(
        request, 500, "internal_error", "The request was not carried out; its id finds it in the log."
    )
