"""The tab "Loyalty card" in a deal of Bitrix24: balance, and three buttons: redeem, add, leave.

The portal opens it with a POST that carries its application token. From then on a token of ours, good for an
hour and this deal, stands for the manager: a frame of another site gets no cookies. The page calls nobody;
what it does not know of the deal, a job reads while the page waits.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.bitrix24 import source as bitrix24
from app.crm.events import CardWanted
from app.crm.signatures import is_among
from app.deals import desk, seen
from app.deals.models import Deal
from app.i18n import LANGUAGES
from app.inbox import contacts, reasons, sources
from app.inbox.models import Source
from app.inbox.reasons import RESTS, reason_of
from app.job_queue import enqueue, kinds
from app.members.models import Program
from app.points.amounts import amount_text
from app.points.ledger import Posted
from app.wallets.formats import formats_for
from app.web.dependencies import FromServices, Now, Transaction
from app.web.rendering import PageNotFound, page
from app.wiring import Services

router = APIRouter(prefix="/bitrix24", include_in_schema=False)

VALID_SECONDS = 3600
_SAID = ("redeemed", "added", "left", "issued")


@dataclass(frozen=True, slots=True)
class Opened:
    """Whom a tab was opened for: a deal of a portal, until when."""

    source: str  # its slug
    deal_id: int
    language: str
    at: int  # Unix seconds

    def token(self, secret_key: bytes) -> str:
        body = urlsafe_b64encode(
            json.dumps([self.source, self.deal_id, self.language, self.at]).encode()
        ).decode()
        return f"{body}.{_mark(secret_key, body)}"


@dataclass(frozen=True, slots=True)
class Tab:
    """Everything a door of the tab works with."""

    opened: Opened
    source: Source
    program: Program
    settings: bitrix24.Bitrix24Settings
    deal: Deal | None


@router.post("/{slug}/deal")
async def open_tab(
    slug: str, request: Request, services: FromServices, session: Transaction, now: Now
) -> Response:
    """The portal opens the tab; the page itself is at an address that may be reloaded."""
    form = {name: values[-1] for name, values in parse_qs((await request.body()).decode("latin-1")).items()}
    source = await session.scalar(
        select(Source).where(Source.slug == slug, Source.kind == bitrix24.KIND, Source.state == "active")
    )
    if source is None:
        raise PageNotFound
    kept = sources.read_secrets(services.secret_key, source)
    known = [kept[name] for name in (bitrix24.APPLICATION_TOKEN, sources.CURRENT) if name in kept]
    deal_id = _deal_id(form.get("PLACEMENT_OPTIONS", ""))
    if not is_among(form.get("APPLICATION_TOKEN", ""), known) or deal_id is None:
        raise PageNotFound
    language = request.query_params.get("LANG", "").lower()
    opened = Opened(slug, deal_id, language if language in LANGUAGES else "en", int(now.timestamp()))
    args = {"source_id": source.id, "deal_id": deal_id}
    await enqueue(session, kinds.BITRIX24_READ, args, priority=kinds.LIVE)
    return _to(opened, services)


@router.get("/{slug}/deal")
async def show_tab(
    slug: str,
    t: str,
    request: Request,
    services: FromServices,
    session: Transaction,
    now: Now,
    said: str = "",
) -> Response:
    """The tab as it stands."""
    tab = await _tab(services, session, slug, t, now)
    return await _page(request, services, session, tab, t, said=said)


@router.post("/{slug}/deal/{act}")
async def act_in_tab(
    slug: str,
    act: str,
    request: Request,
    services: FromServices,
    now: Now,
    t: Annotated[str, Form()],
    key: Annotated[str, Form(pattern=r"^[0-9a-f]{16}$")],
    points: Annotated[str, Form(max_length=16)] = "",
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Redeem, add, issue or leave; what does not go is said on the page."""
    try:
        async with services.sessions.begin() as session:
            tab = await _tab(services, session, slug, t, now)
            said = await _act(services, session, tab, act, key=key, points=points, reason=reason, now=now)
    except RESTS as error:
        why = reason_of(error)
        async with services.sessions.begin() as session:
            tab = await _tab(services, session, slug, t, now)
            problem = reasons.text_of(services.texts, tab.opened.language, why.code, why.values)
            return await _page(request, services, session, tab, t, problem=problem, status=409)
    return _to(tab.opened, services, said=said)


async def _act(
    services: Services,
    session: AsyncSession,
    tab: Tab,
    act: str,
    *,
    key: str,
    points: str,
    reason: str,
    now: datetime,
) -> str:
    """Do it; what to say of it. Raises what RESTS holds."""
    if act == "leave":
        return "left"
    if tab.deal is None:
        raise PageNotFound
    if act == "issue":
        await _issue(services, session, tab, tab.deal, now=now)
        return "issued"
    wanted = int(points) if points.isdecimal() else 0
    if act == "redeem":
        posted = await desk.redeem(
            session,
            tab.program,
            tab.source,
            tab.deal,
            wanted,
            percent_max=tab.settings.redeem_percent_max,
            key=key,
            now=now,
        )
    elif act == "add":
        posted = await desk.add(
            session, tab.program, tab.source, tab.deal, wanted, reason=reason, key=key, now=now
        )
    else:
        raise PageNotFound
    await _tell_portal(session, tab, tab.deal, posted)
    return f"{'redeemed' if act == 'redeem' else 'added'}:{wanted}"


async def _issue(services: Services, session: AsyncSession, tab: Tab, deal: Deal, *, now: datetime) -> None:
    await contacts.give_card(
        session,
        tab.program,
        tab.source,
        CardWanted(seen.person(deal), str(tab.settings.opening_points)),
        texts=services.texts,
        link_url=services.settings.link_url,
        sms_per_day=services.settings.sms_spend_limit_per_day,
        secret_key=services.secret_key,
        wallets=services.wallets(tab.program.country),
        now=now,
    )
    await enqueue(session, kinds.BITRIX24_SHOW, {"source_id": tab.source.id}, priority=kinds.MESSAGE)


async def _tell_portal(session: AsyncSession, tab: Tab, deal: Deal, posted: Posted) -> None:
    if posted.repeated:
        return
    args = {"source_id": tab.source.id, "deal_id": deal.deal_id, "entry_id": posted.entry.id}
    await enqueue(session, kinds.BITRIX24_TELL, args, priority=kinds.MESSAGE)


async def _tab(services: Services, session: AsyncSession, slug: str, token: str, now: datetime) -> Tab:
    """What a token opens. Raises PageNotFound."""
    opened = _opened(services.secret_key, token)
    if opened is None or opened.source != slug or now.timestamp() - opened.at > VALID_SECONDS:
        raise PageNotFound
    source = await session.scalar(select(Source).where(Source.slug == slug, Source.state == "active"))
    if source is None:
        raise PageNotFound
    return Tab(
        opened,
        source,
        await session.get_one(Program, source.program_id),
        bitrix24.settings_of(source.settings),
        await seen.find(session, source.id, opened.deal_id),
    )


async def _page(
    request: Request,
    services: Services,
    session: AsyncSession,
    tab: Tab,
    token: str,
    *,
    said: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    deal = tab.deal
    is_waiting = deal is None or deal.read_at.timestamp() < tab.opened.at
    view = None
    if deal is not None and not is_waiting:
        try:
            view = await desk.look(
                session, tab.program, tab.source, deal, percent_max=tab.settings.redeem_percent_max
            )
        except RESTS as error:
            why = reason_of(error)
            problem = problem or reasons.text_of(services.texts, tab.opened.language, why.code, why.values)
    response = page(
        request,
        services.texts,
        "deal_tab.html",
        language=tab.opened.language,
        status=status,
        languages=(),
        base=f"/bitrix24/{tab.opened.source}/deal",
        token=token,
        key=secrets.token_hex(8),
        is_waiting=is_waiting and not problem,
        view=view,
        shown=_shown(tab, view) if view else None,
        program=tab.program,
        percent_max=tab.settings.redeem_percent_max,
        said=_said(said),
        problem=problem,
    )
    policy = response.headers["Content-Security-Policy"]
    ancestors = f"frame-ancestors 'self' {tab.settings.portal_url}"
    response.headers["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", ancestors).replace(
        "frame-ancestors 'self';", f"{ancestors};"
    )
    return response


def _shown(tab: Tab, view: desk.DealCard) -> dict[str, str]:
    """Amounts and points as the manager's language writes them."""
    program = tab.program
    formats = formats_for(tab.opened.language, program.country, program.currency, program.time_zone)
    to_pay = desk.to_pay_minor_units(view, program)

    def money(minor_units: int | None) -> str:
        return "—" if minor_units is None else formats.money(amount_text(minor_units, program.currency))

    return {
        "amount": money(view.amount_minor_units),
        "to_pay": money(to_pay),
        "balance": formats.number(view.card.balance if view.card else 0),
        "redeemable": formats.number(view.redeemable),
        "redeemed": formats.number(view.redeemed),
    }


def _said(said: str) -> tuple[str, int] | None:
    """What the last act came to, from the address: a word of ours and a number, nothing else."""
    word, _, number = said.partition(":")
    return (word, int(number) if number.isdecimal() else 0) if word in _SAID else None


def _to(opened: Opened, services: Services, **query: str) -> Response:
    address = urlencode({"t": opened.token(services.secret_key), **query})
    return RedirectResponse(f"/bitrix24/{opened.source}/deal?{address}", 303)


def _deal_id(options: str) -> int | None:
    try:
        found: Any = json.loads(options)
        id_ = str(found["ID"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return int(id_) if id_.isdecimal() and len(id_) < 16 else None


def _opened(secret_key: bytes, token: str) -> Opened | None:
    body, _, mark = token.partition(".")
    if not hmac.compare_digest(mark.encode(), _mark(secret_key, body).encode()):
        return None
    return Opened(*json.loads(urlsafe_b64decode(body)))


def _mark(secret_key: bytes, body: str) -> str:
    return hmac.digest(secret_key, b"passbell.deal-tab.v1|" + body.encode(), hashlib.sha256).hex()
