"""The desk's pages and what its buttons call, under /demo. Only `passbell demo` has these routes."""

from decimal import Decimal
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from app.demo import crm
from app.demo.android import DemoAndroid
from app.demo.desk import AnyPhone, Desk, UnknownPhone
from app.demo.phones import DemoPhone
from app.demo.portal import BadAmount, DemoPortal, UnknownDeal, amount_of
from app.main import Application
from app.members import people
from app.members.models import Member
from app.simulators.bitrix24 import Deal
from app.simulators.google_wallet.answers import Refused
from app.simulators.iphone import RefusedPass
from app.staff import sessions, users
from app.staff.audit import CLI
from app.staff.roles import ROLES
from app.web.console.pages import first_page
from app.web.console.route import sign_in_cookie
from app.web.dependencies import FromServices, Language, Now, Transaction
from app.web.errors import Problem
from app.web.rendering import page

router = APIRouter(prefix="/demo", include_in_schema=False)

DEAL_AMOUNT = Decimal(12_000)
COUNTRY = "RU"  # of both programmes: the region of numbers typed without a country code


def add_routes(app: Application) -> None:
    """Put the desk in front of an application whose state will hold it."""
    app.include_router(router)
    app.add_api_route("/", _to_desk, include_in_schema=False)
    app.edge = _Stir(app.edge)  # outermost: phones are answered before FastAPI's own layers


def _desk(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


FromDesk = Annotated[Desk, Depends(_desk)]


def _any_phone(name: str, desk: FromDesk) -> AnyPhone:
    try:
        return desk.phone(name)
    except UnknownPhone as error:
        raise Problem(404, "unknown_phone", "The desk has the phones one, two and three.") from error


def _phone(phone: Annotated[AnyPhone, Depends(_any_phone)]) -> DemoPhone:
    if not isinstance(phone, DemoPhone):
        raise Problem(404, "unknown_phone", "This phone is no iPhone.")
    return phone


def _android(phone: Annotated[AnyPhone, Depends(_any_phone)]) -> DemoAndroid:
    if not isinstance(phone, DemoAndroid):
        raise Problem(404, "unknown_phone", "This phone has no Google Wallet.")
    return phone


OnAnyPhone = Annotated[AnyPhone, Depends(_any_phone)]
OnPhone = Annotated[DemoPhone, Depends(_phone)]
OnAndroid = Annotated[DemoAndroid, Depends(_android)]


def _portal(slug: str, desk: FromDesk) -> DemoPortal:
    if slug not in desk.portals:
        raise Problem(404, "unknown_portal", "Every programme of the desk has a portal, this one is none.")
    return desk.portals[slug]


InPortal = Annotated[DemoPortal, Depends(_portal)]


def _deal(deal_id: int, portal: InPortal) -> Deal:
    try:
        return portal.deal(deal_id)
    except UnknownDeal as error:
        raise Problem(404, "unknown_deal", "The portal has no such deal.") from error


OnDeal = Annotated[Deal, Depends(_deal)]


class Address(BaseModel):
    url: str = Field(max_length=2000)


class Number(BaseModel):
    number: str = Field(max_length=64)


class Switch(BaseModel):
    on: bool


class NewDeal(BaseModel):
    member: str = Field(max_length=64)


class DealChange(BaseModel):
    amount: str = Field(max_length=32)


class Locale(BaseModel):
    language: str = Field(pattern="^(en|ru)$")


async def _to_desk() -> Response:
    return RedirectResponse("/demo", 307)


@router.get("")
async def show_desk(request: Request, services: FromServices, desk: FromDesk, language: Language) -> Response:
    """The page itself; everything on it that moves is drawn by scripts from /demo/events."""
    for phone in desk.phones.values():
        phone.speak(language)
    texts = services.texts.by_language[language]
    words = {key.removeprefix("demo."): text for key, text in texts.items() if key.startswith("demo.")}
    return page(
        request,
        services.texts,
        "desk.html",
        language=language,
        setup={"language": language, "keys": desk.keys, "words": words},
    )


@router.get("/console/{role}")
async def open_console(
    role: str, request: Request, session: Transaction, services: FromServices, language: Language, now: Now
) -> Response:
    """The console as somebody of this role, without a password: this is a demo."""
    if role not in ROLES:
        raise Problem(404, "unknown_role", f"There are {', '.join(ROLES)}.")
    user = await users.by_email(session, f"{role}@passbell.example")
    if user is None:
        user, _ = await users.add(
            session,
            email=f"{role}@passbell.example",
            name=services.texts.get(language, f"console.roles.{role}"),
            role=role,
            language=language,
            by=CLI,
            now=now,
        )
    token = await sessions.begin(session, user, browser=request.headers.get("user-agent", ""), now=now)
    response = RedirectResponse(first_page(role), 303)
    sign_in_cookie(request, response, token)
    return response


@router.get("/events")
async def events(desk: FromDesk) -> Response:
    """Server-sent events: "phone" with a phone's whole state, "changed" when it is worth looking again."""
    return StreamingResponse(
        desk.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


@router.get("/crm/{slug}")
async def show_crm(slug: str, session: Transaction, language: Language) -> dict[str, Any]:
    """What the CRM panel lists of a programme: members, their balances, and notices for the manager."""
    return await crm.overview(session, slug, language=language)


@router.get("/portal/{slug}")
async def show_deals(portal: InPortal) -> dict[str, Any]:
    """The newest deals of a programme's portal."""
    return {"deals": portal.deals()}


@router.post("/portal/{slug}/deals", status_code=204)
async def close_deal(slug: str, wanted: NewDeal, portal: InPortal, session: Transaction) -> None:
    """A manager makes a deal with a member, and closes it as won."""
    member = await session.get_one(Member, wanted.member)
    portal.close_new_deal(await portal.contact_of(session, member), DEAL_AMOUNT)


@router.get("/portal/{slug}/deals/{deal_id}/tab")
async def tab_of_deal(portal: InPortal, deal: OnDeal, language: Language) -> dict[str, Any]:
    """What the portal posts to open our tab in the deal's card: the address and the form's fields."""
    query, fields = portal.portal.tab_request(deal)
    address = f"/bitrix24/{portal.source.slug}/deal?{urlencode(query | {'LANG': language})}"
    return {"address": address, "fields": fields}


@router.patch("/portal/{slug}/deals/{deal_id}", status_code=204)
async def edit_deal(wanted: DealChange, portal: InPortal, deal: OnDeal) -> None:
    """A manager corrects a deal's amount."""
    try:
        portal.portal.edit_deal(deal, amount=amount_of(wanted.amount))
    except BadAmount as error:
        raise Problem(422, "bad_amount", "Write an amount such as 12000.") from error


@router.post("/portal/{slug}/deals/{deal_id}/{outcome}", status_code=204)
async def move_deal(outcome: Literal["won", "lost", "again"], portal: InPortal, deal: OnDeal) -> None:
    """A manager closes a deal as won or lost; "again": the portal sends its last event once more."""
    if outcome == "again":
        portal.portal.tell("ONCRMDEALUPDATE", deal.id)
    else:
        (portal.portal.win if outcome == "won" else portal.portal.lose)(deal)


@router.post("/phones/{name}/add", status_code=204)
async def add_pass(name: str, wanted: Address, request: Request, phone: OnPhone) -> None:
    """Tap "Add to Apple Wallet": the phone downloads, checks and registers the pass."""
    if not wanted.url.startswith(str(request.base_url)):
        raise Problem(422, "foreign_address", "The demo's phones open passes of this Passbell only.")
    try:
        await phone.iphone.add(wanted.url)
    except RefusedPass as error:
        raise Problem(422, "refused_pass", str(error)) from error


@router.post("/phones/{name}/save", status_code=204)
async def save_pass(name: str, wanted: Address, desk: FromDesk, phone: OnAndroid) -> None:
    """Tap "Add to Google Wallet": the account holds the pass from now on."""
    try:
        phone.android.save(wanted.url)
    except Refused as error:
        raise Problem(422, "refused_pass", str(error)) from error
    desk.show(phone)


@router.delete("/phones/{name}/cards/{object_id}", status_code=204)
async def remove_card(name: str, object_id: str, desk: FromDesk, phone: OnAndroid) -> None:
    """Tap "Remove" in Google Wallet."""
    if object_id not in phone.android.account.held:
        raise Problem(404, "unknown_pass", "This phone does not hold that pass.")
    phone.android.remove(object_id)
    desk.show(phone)


@router.post("/phones/{name}/number", status_code=204)
async def take_number(name: str, wanted: Number, desk: FromDesk, phone: OnAnyPhone) -> None:
    """A number was typed into a form on this phone: its SMS come here. The form refuses a wrong one."""
    try:
        desk.take_number(phone, people.parse_phone(wanted.number, COUNTRY))
    except people.InvalidPhone:
        return
    desk.show(phone)


@router.post("/phones/{name}/texts/{text_id}/forward", status_code=204)
async def forward_text(
    name: str, text_id: str, desk: FromDesk, phone: OnAnyPhone, to: str | None = None
) -> None:
    """Pass a message on, as a mother does to her child: to the other phones, or to the one named."""
    text = phone.text(text_id)
    if text is None:
        raise Problem(404, "unknown_text", "There is no such message on this phone.")
    for other in desk.phones.values():
        if other is not phone and to in (None, other.name):
            other.receive_forwarded(text.text)
            desk.show(other)


@router.post("/phones/{name}/refresh", status_code=204)
async def refresh(name: str, desk: FromDesk, phone: OnPhone) -> None:
    """Pull the details sheet down: the phone asks without having been pushed."""
    for kind in {each.opened.pass_type_identifier for each in phone.iphone.passes.values()}:
        await phone.iphone.ask(kind)
    desk.show(phone)


@router.post("/phones/{name}/updates", status_code=204)
async def switch_updates(name: str, wanted: Switch, desk: FromDesk, phone: OnPhone) -> None:
    """The switch "Automatic Updates" on the back."""
    await phone.iphone.set_automatic_updates(wanted.on)
    desk.show(phone)


@router.delete("/phones/{name}/passes/{serial}", status_code=204)
async def remove_pass(name: str, serial: str, phone: OnPhone) -> None:
    """Tap "Remove Pass": the phone unregisters."""
    if serial not in phone.iphone.passes:
        raise Problem(404, "unknown_pass", "This phone does not hold that pass.")
    await phone.iphone.remove(serial)


@router.get("/phones/{name}/passes/{serial}/images/{slot}")
async def pass_image(name: str, serial: str, slot: str, phone: OnPhone) -> Response:
    """A picture out of the archive that the phone holds."""
    image = phone.image(serial, slot)
    if image is None:
        raise Problem(404, "unknown_image", "This pass has no picture of that name.")
    return Response(image, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


class _Stir:
    """Tells the desk's pages to look again after every request that may have changed something."""

    QUIET = ("/demo/events", "/demo/crm", "/static", "/healthz")

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
        if scope["type"] != "http" or scope["path"].startswith(self.QUIET):
            return
        if scope["method"] == "GET" and scope["path"].startswith(("/api", "/demo")):
            return  # the desk's own looking: answering it by another look would never end
        cast(Desk, scope["app"].state.desk).stir()
