"""The card as a page of its own, /p/{token}/card: for the home screen, and without a network too."""

import hashlib
from zoneinfo import ZoneInfo

import orjson
from babel.dates import format_datetime
from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.passes.content import content_of
from app.passes.issue import by_link
from app.passes.models import Pass
from app.wallets.apple.wallet import preview
from app.wallets.templates import PassTemplate
from app.wallets.web.card import ICON_SIZES, icon, web_card
from app.web.dependencies import FromServices, Language, Now, Reading
from app.web.errors import Problem
from app.web.pass_page import barcode_svg, template_of
from app.web.rendering import FOR_EVER, STATIC, page

router = APIRouter(prefix="/p/{token}", include_in_schema=False)

PRIVATE = {"Cache-Control": "no-store"}
WORKER = STATIC / "card" / "worker.js"


@router.api_route("/card", methods=["GET", "HEAD"])
async def show(
    token: str, request: Request, services: FromServices, session: Reading, language: Language, now: Now
) -> Response:
    """The card, whole: every word of it is in the page, so that a kept copy needs nothing else."""
    issued, _ = await by_link(session, token, now=now)
    template = template_of(services, issued)
    content = await content_of(session, issued, language=language)
    card = web_card(template, content)
    images = preview(template, content, serial_number=issued.serial_number).images
    return page(
        request,
        services.texts,
        "card.html",
        language=language,
        token=token,
        card=card,
        version=issued.version,
        push_key=services.web_push.vapid.public_key,
        is_voided=content.voided,
        images={slot: _image_url(token, issued, slot) for slot in ("logo", "strip") if slot in images},
        barcode=barcode_svg(card.barcode.format, card.barcode.message) if card.barcode else "",
        theme_url=f"/p/{token}/card/theme.css?v={_digest(_css(template))}",
        shown_at=format_datetime(
            now.astimezone(ZoneInfo(content.time_zone)), "d MMMM, HH:mm", locale=language
        ),
    )


@router.get("/card/version")
async def version(token: str, session: Reading, now: Now) -> Response:
    """Which version the card is at: an open page asks, and reads itself again when it is older."""
    issued, _ = await by_link(session, token, now=now)
    return Response(str(issued.version), media_type="text/plain", headers=PRIVATE)


@router.get("/card/theme.css")
async def theme(token: str, services: FromServices, session: Reading, now: Now) -> Response:
    """The card's colours: a style sheet of its own, because the pages allow no inline styles."""
    issued, _ = await by_link(session, token, now=now)
    css = _css(template_of(services, issued))
    return Response(css, media_type="text/css", headers={"Cache-Control": FOR_EVER})


@router.get("/card/manifest.webmanifest")
async def manifest(token: str, services: FromServices, session: Reading, now: Now) -> Response:
    """What a phone needs to put the card on its home screen."""
    issued, _ = await by_link(session, token, now=now)
    template = template_of(services, issued)
    card = web_card(template, await content_of(session, issued))
    color = template.definition.colors.background
    described = {
        "id": f"/p/{token}/card",
        "name": card.name,
        "short_name": card.name[:12].strip(),
        "lang": card.language,
        "start_url": f"/p/{token}/card",
        "scope": f"/p/{token}/",
        "display": "standalone",
        "orientation": "portrait",
        "theme_color": color,
        "background_color": color,
        "icons": [
            {
                "src": f"/p/{token}/card/icon-{size}.png",
                "sizes": f"{size}x{size}",
                "type": "image/png",
                "purpose": "any maskable",
            }
            for size in ICON_SIZES
        ],
    }
    return Response(orjson.dumps(described), media_type="application/manifest+json", headers=PRIVATE)


@router.get("/card/icon-{size}.png")
async def home_icon(token: str, size: int, services: FromServices, session: Reading, now: Now) -> Response:
    """The card's icon on a home screen."""
    issued, _ = await by_link(session, token, now=now)
    if size not in ICON_SIZES:
        raise Problem(404, "unknown_image", "There is no icon of that size.")
    data = icon(template_of(services, issued), size)
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/worker.js")
async def worker(token: str) -> Response:
    """The card's service worker. It is served here, for it may keep only what lies below its own address."""
    headers = {"Cache-Control": "no-cache"}
    return Response(WORKER.read_bytes(), media_type="text/javascript", headers=headers)


def _image_url(token: str, issued: Pass, slot: str) -> str:
    """A picture of the card; with the version, because a stamp more is another picture."""
    return f"/p/{token}/images/{slot}?v={issued.version}"


def _css(template: PassTemplate) -> str:
    colors = template.definition.colors
    label = colors.label or colors.foreground
    return f":root{{--card:{colors.background};--on-card:{colors.foreground};--label:{label}}}"


def _digest(css: str) -> str:
    return hashlib.sha256(css.encode()).hexdigest()[:12]
