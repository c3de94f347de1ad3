"""One's own account: the second factor, and where one is signed in."""

from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.sealing import CannotUnseal, seal, unseal
from app.staff import passwords, sessions, users
from app.staff.models import User
from app.staff.roles import Permission
from app.web.api.values import IdInPath
from app.web.console.pages import console_page
from app.web.console.route import PATH, ConsoleRoute, needs, who_is
from app.web.console.sign_in import FIELDS_MAX
from app.web.console.step_up import prove
from app.web.dependencies import FromServices, Language, Now, Reading, Transaction
from app.web.pass_page import barcode_svg
from app.wiring import Services

router = APIRouter(prefix="/console/account", route_class=ConsoleRoute)


@router.get("")
@needs(Permission.OWN_ACCOUNT)
async def show(
    request: Request, services: FromServices, session: Reading, language: Language, now: Now
) -> Response:
    """Sessions, and the second factor with a fresh secret where there is none."""
    return await _page(request, services, session, language, now=now)


async def _page(
    request: Request,
    services: Services,
    session: AsyncSession,
    language: str,
    *,
    now: datetime,
    status: int = 200,
    problem: str = "",
    secret: str | None = None,
) -> Response:
    who = who_is(request)
    user = await session.get_one(User, who.user_id)
    secret = secret or passwords.new_totp_secret()
    address = passwords.totp_address(secret, email=user.email, issuer="Passbell")
    return console_page(
        request,
        "account.html",
        language=language,
        status=status,
        sessions=await sessions.of_user(session, who.user_id, now=now),
        has_totp=user.totp_sealed is not None,
        secret=secret,
        sealed=_sealed(services, user, secret),
        qr=barcode_svg("PKBarcodeFormatQR", address),
        problem=problem,
    )


def _sealed(services: Services, user: User, secret: str) -> str:
    """The secret on its way through the form, so that nobody can have a user keep another."""
    return seal(services.secret_key, f"totp-offer:{user.id}", {"totp": secret}).hex()


@router.post("/second-factor")
@needs(Permission.OWN_ACCOUNT)
async def set_second_factor(
    request: Request, services: FromServices, session: Transaction, language: Language, now: Now
) -> Response:
    """Keep the secret once its first code is right."""
    form = await request.form(max_fields=FIELDS_MAX)
    user = await users.to_change(session, who_is(request).user_id)
    if user.totp_sealed is not None:
        return RedirectResponse(f"{PATH}/account", 303)  # from a page that is older than it
    try:
        offer = bytes.fromhex(str(form.get("sealed", "")))
        secret = unseal(services.secret_key, f"totp-offer:{user.id}", offer)["totp"]
    except (ValueError, CannotUnseal):
        return await _page(request, services, session, language, now=now, status=422, problem="code")
    code = str(form.get("code", "")).replace(" ", "")
    step = passwords.totp_step(secret, code, after=user.totp_step, now=now)
    if step is None:
        return await _page(
            request, services, session, language, now=now, status=422, problem="code", secret=secret
        )
    await users.set_totp(session, services.secret_key, user, secret, step=step, now=now)
    return RedirectResponse(f"{PATH}/account", 303)


@router.post("/second-factor/remove")
@needs(Permission.OWN_ACCOUNT)
async def remove_second_factor(
    request: Request, services: FromServices, language: Language, now: Now
) -> Response:
    """Take the second factor away, with a right password: an open browser is not enough."""
    form = await request.form(max_fields=FIELDS_MAX)
    try:
        known = await prove(request, services, str(form.get("password", "")), now=now)
        async with services.sessions.begin() as session:
            user = await sessions.unchanged(session, known)
            await users.set_totp(session, services.secret_key, user, None, step=user.totp_step, now=now)
    except (sessions.TooManyTries, sessions.NotSignedIn) as error:
        is_many = isinstance(error, sessions.TooManyTries)
        status, problem = (429, "too_often") if is_many else (422, "password")
        async with services.read_sessions() as session:
            return await _page(request, services, session, language, now=now, status=status, problem=problem)
    return RedirectResponse(f"{PATH}/account", 303)


@router.post("/sessions/{session_id}/end")
@needs(Permission.OWN_ACCOUNT)
async def end_session(request: Request, session_id: IdInPath, session: Transaction, now: Now) -> Response:
    """Sign another browser out."""
    who = who_is(request)
    await sessions.end(session, session_id, user_id=who.user_id, by=who.actor, now=now)
    return RedirectResponse(f"{PATH}/account", 303)
