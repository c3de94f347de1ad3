"""Signing in with a password and, where there is one, a second factor; setting a password by a link."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.staff import passwords, sessions, users
from app.staff.roles import Permission
from app.staff.sessions import CodeNeeded, NotSignedIn, TooManyTries
from app.web.console.pages import first_page
from app.web.console.route import (
    PATH,
    ConsoleRoute,
    forget_cookie,
    needs,
    public,
    sign_in_cookie,
    who_asks,
    who_is,
)
from app.web.dependencies import FromServices, Language, Now, Reading, Transaction
from app.web.rendering import PageNotFound, page
from app.wiring import Services

router = APIRouter(prefix="/console", route_class=ConsoleRoute)

FIELDS_MAX = 10


@router.get("/sign-in")
@public
async def show(request: Request, services: FromServices, language: Language) -> Response:
    """The empty form."""
    who = await who_asks(request)
    if who is not None:
        return RedirectResponse(first_page(who.role), 303)
    return page(
        request,
        services.texts,
        "console/sign_in.html",
        language=language,
        email="",
        problem="",
        has_code=False,
    )


@router.post("/sign-in")
@public
async def sign_in(request: Request, services: FromServices, language: Language, now: Now) -> Response:
    """Begin a session. What is wrong is not said: not even whether there is such a user."""
    form = await request.form(max_fields=FIELDS_MAX)
    given = {name: str(form.get(name, ""))[:300] for name in ("email", "password", "code")}
    address = request.client.host if request.client else ""

    def again(problem: str, status: int, *, has_code: bool = False) -> Response:
        return page(
            request,
            services.texts,
            "console/sign_in.html",
            language=language,
            status=status,
            email=given["email"],
            problem=problem,
            has_code=has_code or bool(given["code"]),
        )

    try:
        async with services.sessions.begin() as session:
            await sessions.count_try(session, given["email"], address, now=now)
        known = await sessions.with_password(services.read_sessions, given["email"], given["password"])
        async with services.sessions.begin() as session:
            user, token = await sessions.sign_in(
                session,
                services.secret_key,
                known,
                code=given["code"],
                browser=request.headers.get("user-agent", ""),
                now=now,
            )
    except TooManyTries:
        return again("too_many", 429)
    except CodeNeeded:
        return again("", 200, has_code=True)
    except NotSignedIn:
        return again("not_right", 422)
    wanted = request.query_params.get("next", "")
    is_ours = wanted == PATH or wanted.startswith(f"{PATH}/")
    response = RedirectResponse(wanted if is_ours else first_page(user.role), 303)
    sign_in_cookie(request, response, token)
    return response


@router.post("/sign-out")
@needs(Permission.OWN_ACCOUNT)
async def sign_out(request: Request, session: Transaction, now: Now) -> Response:
    """End this session."""
    who = who_is(request)
    await sessions.end(session, who.session_id, user_id=who.user_id, by=who.actor, now=now)
    response = RedirectResponse(f"{PATH}/sign-in", 303)
    forget_cookie(response)
    return response


@router.get("/link/{token}")
@public
async def show_link(
    request: Request, token: str, services: FromServices, session: Reading, language: Language, now: Now
) -> Response:
    """Ask for a new password."""
    try:
        user = await users.user_of_link(session, token, now=now)
    except users.LinkOver as error:
        raise PageNotFound from error
    return _password_page(request, services, language, user.email)


@router.post("/link/{token}")
@public
async def use_link(
    request: Request, token: str, services: FromServices, language: Language, now: Now
) -> Response:
    """Keep the password, and go to the sign-in."""
    form = await request.form(max_fields=FIELDS_MAX)
    try:
        async with services.read_sessions() as session:
            user = await users.user_of_link(session, token, now=now)
        try:
            password_hash = await passwords.hash_of(str(form.get("password", "")))
        except passwords.WeakPassword:
            return _password_page(request, services, language, user.email, status=422, problem="weak")
        async with services.sessions.begin() as session:
            await users.set_password(session, token, password_hash, now=now)
    except users.LinkOver as error:
        raise PageNotFound from error
    return RedirectResponse(f"{PATH}/sign-in", 303)


def _password_page(
    request: Request, services: Services, language: str, email: str, *, status: int = 200, problem: str = ""
) -> Response:
    return page(
        request,
        services.texts,
        "console/set_password.html",
        language=language,
        status=status,
        email=email,
        problem=problem,
    )
