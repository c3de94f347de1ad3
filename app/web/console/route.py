"""What every route of the console goes through: the same site, a session, and its permission.

A route that does not say which permission it needs cannot be made, so the program does not start with one.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute

from app.staff import sessions
from app.staff.roles import Permission, may
from app.staff.sessions import SignedIn
from app.web.dependencies import services_of
from app.web.rendering import error_page

COOKIE = "passbell_session"
PATH = "/console"
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


class NoPermission(TypeError):
    """A route of the console does not say who may use it."""


def needs(permission: Permission) -> Callable[[_Endpoint], _Endpoint]:
    """Who may use this route: the roles that have the permission."""

    def mark(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, "needs", permission)  # noqa: B010  functions have no such attribute to a type checker
        return endpoint

    return mark


def public(endpoint: _Endpoint) -> _Endpoint:
    """A route for those who are not signed in yet."""
    setattr(endpoint, "needs", None)  # noqa: B010
    return endpoint


class ConsoleRoute(APIRoute):
    """A route with its permission."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not hasattr(endpoint, "needs"):
            raise NoPermission(f"{path}: mark {endpoint.__name__} with @needs(...) or @public")
        self.needs = cast("Permission | None", getattr(endpoint, "needs"))  # noqa: B009
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            if request.method in _UNSAFE and not is_same_site(request):
                return error_page(request, 403)
            if self.needs is None:
                return await answer(request)
            who = await who_asks(request)
            if who is None:
                return _to_sign_in(request)
            if not may(who.role, self.needs):
                return error_page(request, 403)
            request.state.who = who
            return await answer(request)

        return guarded


def who_is(request: Request) -> SignedIn:
    """Whose request this is; only behind a permission."""
    return cast(SignedIn, request.state.who)


async def who_asks(request: Request) -> SignedIn | None:
    """Who holds the request's cookie."""
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    services = services_of(request)
    now = services.clock()
    async with services.read_sessions() as session:
        found = await sessions.signed_in(session, token, now=now)
    if found is None:
        return None
    who, is_to_note = found
    if is_to_note:
        async with services.sessions.begin() as session:
            await sessions.note_seen(session, who.session_id, now=now)
    return who


def is_same_site(request: Request) -> bool:
    """Whether a page of ours sent this: browsers say so themselves, and forged forms cannot.

    Sec-Fetch-Site where the browser has it (Fetch Metadata), else Origin; a request with neither is refused.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    ours = {urlsplit(str(request.base_url)).netloc, urlsplit(services_of(request).settings.public_url).netloc}
    return origin is not None and urlsplit(origin).netloc in ours


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path if request.method == "GET" else PATH
    return RedirectResponse(f"{PATH}/sign-in?next={quote(wanted)}", 303)


def sign_in_cookie(request: Request, response: Response, token: str) -> None:
    """Have the browser keep a session; scripts cannot read it, other sites cannot send it with forms."""
    is_https = services_of(request).settings.public_url.startswith("https://")
    response.set_cookie(COOKIE, token, path=PATH, httponly=True, secure=is_https, samesite="lax")


def forget_cookie(response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(COOKIE, path=PATH)
