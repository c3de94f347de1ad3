"""The portal's doors: /rest/{user}/{secret}/{method} by webhook, /rest/{method} by token, /oauth/token/."""

import contextlib
import hmac
import json
import re
from collections.abc import AsyncGenerator
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.simulators.bitrix24 import php_forms
from app.simulators.bitrix24.methods import METHODS, Page, Params, RestError
from app.simulators.bitrix24.portal import DOMAIN, TOKEN_SECONDS, Portal
from app.simulators.serving import serve

BATCH_MAX = 50
_RESULT = re.compile(r"\$result((?:\[[^\]]+\])+)")
_HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@contextlib.asynccontextmanager
async def running(portal: Portal, *, port: int = 0) -> AsyncGenerator[str]:
    """The portal on a real loopback socket; gives its base URL."""
    async with serve(_Doors(portal).app, port=port) as url:
        try:
            yield url
        finally:
            await portal.calls.close()


class _Doors:
    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        methods = ["GET", "POST"]
        self.app = Starlette(
            routes=[
                Route("/rest/{user:int}/{secret}/{method}", self._by_webhook, methods=methods),
                Route("/rest/{method}", self._by_token, methods=methods),
                Route("/oauth/token/", self._tokens, methods=methods),
            ]
        )

    async def _by_webhook(self, request: Request) -> Response:
        given = request.path_params
        secret = str(given["secret"])
        known = given["user"] == self._portal.webhook_user
        if not (known and hmac.compare_digest(secret, self._portal.webhook_secret)):
            return _refusal(RestError(401, "INVALID_CREDENTIALS", "Invalid request credentials"))
        return await self._answer(request, await _params(request), is_app=False)

    async def _by_token(self, request: Request) -> Response:
        params = await _params(request)
        token = str(params.pop("auth", ""))
        until = self._portal.app.access.get(token)
        if until is None:
            return _refusal(RestError(401, "NO_AUTH_FOUND", "Wrong authorization data"))
        if until <= self._at():
            return _refusal(RestError(401, "expired_token", "The access token provided has expired."))
        return await self._answer(request, params, is_app=True)

    async def _answer(self, request: Request, params: Params, *, is_app: bool) -> Response:
        if self._portal.answers_html:
            self._portal.answers_html -= 1
            return HTMLResponse(_HTML, 502)
        method = str(request.path_params["method"]).removesuffix(".json").lower()
        try:
            if not self._portal.meter.takes_request(self._at()):
                raise RestError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
            if method == "batch":
                return JSONResponse({"result": self._batch(params, is_app), "time": self._time(method)})
            found = self._call(method, params, is_app)
        except RestError as error:
            return _refusal(error)
        body: dict[str, Any] = {"time": self._time(method)}
        if not isinstance(found, Page):
            return JSONResponse(body | {"result": found})
        body |= {"result": found.result, "total": found.total}
        return JSONResponse(body | ({} if found.next is None else {"next": found.next}))

    def _call(self, name: str, params: Params, is_app: bool) -> object:
        method = METHODS.get(name)
        if method is None:
            raise RestError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if method.needs_app and not is_app:
            raise RestError(403, "ACCESS_DENIED", "Application context required")
        if (
            name == "im.notify.system.add"
            and not is_app
            and params.get("TAG")
            and not params.get("CLIENT_ID")
        ):
            raise RestError(400, "CLIENT_ID_EMPTY", "CLIENT_ID is required to use TAG")
        if not self._portal.meter.takes_call(name, self._at()):
            raise RestError(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")
        return method.run(self._portal, params)

    def _batch(self, params: Params, is_app: bool) -> dict[str, object]:
        given: object = params.get("cmd") or {}
        commands: dict[str, str] = (
            cast("dict[str, str]", given)
            if isinstance(given, dict)
            else {str(number): each for number, each in enumerate(cast("list[str]", given))}
        )
        if len(commands) > BATCH_MAX:
            raise RestError(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
        answer: dict[str, dict[str, Any]] = {
            kind: {} for kind in ("result", "result_error", "result_total", "result_next", "result_time")
        }
        for key, command in commands.items():
            name, _, query = command.partition("?")
            try:
                if name.lower() == "batch":
                    raise RestError(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Not allowed for batch usage")
                inner = _filled(php_forms.decode(query), answer["result"])
                found = self._call(name.lower(), inner, is_app)
            except RestError as error:
                answer["result_error"][key] = {"error": error.code, "error_description": error.description}
                if str(params.get("halt", "0")) in ("1", "True", "true"):
                    break
                continue
            answer["result"][key] = found.result if isinstance(found, Page) else found
            answer["result_time"][key] = self._time(name)
            if isinstance(found, Page):
                answer["result_total"][key] = found.total
                if found.next is not None:
                    answer["result_next"][key] = found.next
        return {kind: values or [] for kind, values in answer.items()}  # PHP writes an empty mapping so

    async def _tokens(self, request: Request) -> Response:
        """Renew an application's tokens; a refresh token works once."""
        given = dict(request.query_params) | {str(k): str(v) for k, v in (await request.form()).items()}
        app = self._portal.app
        if given.get("client_id") != app.client_id or given.get("client_secret") != app.client_secret:
            return JSONResponse({"error": "invalid_client", "error_description": "Invalid client"}, 400)
        if given.get("grant_type") != "refresh_token" or given.get("refresh_token") not in app.refresh:
            return JSONResponse({"error": "invalid_grant", "error_description": "Invalid grant"}, 400)
        app.refresh.discard(given["refresh_token"])
        access, refresh = self._portal.grant()
        return JSONResponse(
            {
                "access_token": access,
                "refresh_token": refresh,
                "expires_in": TOKEN_SECONDS,
                "expires": int(self._at()) + TOKEN_SECONDS,
                "member_id": self._portal.member_id,
                "domain": DOMAIN,
                "scope": "app",
                "status": "L",
            }
        )

    def _at(self) -> float:
        return self._portal.clock().timestamp()

    def _time(self, method: str) -> dict[str, Any]:
        at, now, meter = self._at(), self._portal.now_text(), self._portal.meter
        return {
            "start": at,
            "finish": at,
            "duration": 0.0,
            "processing": 0.0,
            "date_start": now,
            "date_finish": now,
            "operating_reset_at": int(meter.resets_at(method, at)),
            "operating": meter.operating(method, at),
        }


async def _params(request: Request) -> Params:
    params: Params = dict(php_forms.decode(request.url.query))
    body = await request.body()
    if "json" in request.headers.get("content-type", ""):
        return params | cast("Params", json.loads(body or b"{}"))
    return params | php_forms.decode(body)


def _filled(value: Any, results: dict[str, Any]) -> Any:
    """The parameters of a batched call with $result[a][item][contactId] put in."""
    if isinstance(value, dict):
        return {key: _filled(each, results) for key, each in cast("dict[str, Any]", value).items()}

    def found(match: re.Match[str]) -> str:
        place: Any = results
        for part in re.findall(r"\[([^\]]+)\]", match[1]):
            if isinstance(place, list):
                items = cast("list[Any]", place)
                place = items[int(part)] if int(part) < len(items) else None
            else:
                place = cast("dict[str, Any]", place or {}).get(part)
        return "" if place is None else str(place)

    return _RESULT.sub(found, str(value))


def _refusal(error: RestError) -> JSONResponse:
    return JSONResponse({"error": error.code, "error_description": error.description}, error.status)
