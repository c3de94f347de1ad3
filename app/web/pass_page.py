"""The page behind the link in the SMS, /p/{token}: the card, and how to get it onto this phone."""

import re
from dataclasses import dataclass
from typing import Literal

import zxingcpp
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.passes import trace
from app.passes.content import content_of
from app.passes.issue import authentication_token, by_link
from app.passes.models import Pass
from app.wallets.apple.pass_file import MEDIA_TYPE
from app.wallets.apple.wallet import Preview, preview
from app.wallets.templates import PassTemplate, UnknownTemplate
from app.web.apple_passkit import http_date
from app.web.dependencies import FromServices, Language, Now, Reading, Transaction
from app.web.errors import Problem
from app.web.google_button import google_offer
from app.web.rendering import page
from app.wiring import Services

router = APIRouter(prefix="/p", include_in_schema=False)

# What an app that shows the page in a window of its own adds to the browser's name. They download no passes.
IN_APP = (
    "FBAN",
    "FBAV",
    "Instagram",
    "Line/",
    "MicroMessenger",
    "VKAndroidApp",
    "VKClient",
    "TikTok",
    "musical_ly",
    "Snapchat",
    "Pinterest",
    "; wv)",  # Android's WebView, whatever the app
)
IOS = ("iPhone", "iPad", "iPod")

Device = Literal["apple", "android", "desktop"]


@dataclass(frozen=True)
class Visitor:
    """Who looks at the page. `is_mac`: a Mac or an iPad, which calls itself one; both can add a pass."""

    device: Device
    in_app: bool
    is_mac: bool = False


def visitor(user_agent: str) -> Visitor:
    """What kind of device and browser asks. Unknown ones are desktops: they get the QR code."""
    in_app = any(mark in user_agent for mark in IN_APP)
    if any(mark in user_agent for mark in IOS):
        # Every browser there says Safari; an app's bare web view does not.
        return Visitor("apple", in_app or "Safari/" not in user_agent)
    if "Android" in user_agent:
        return Visitor("android", in_app)
    return Visitor("desktop", in_app, is_mac="Macintosh" in user_agent)


@router.api_route("/{token}", methods=["GET", "HEAD"])
async def show(
    token: str,
    request: Request,
    services: FromServices,
    session: Transaction,
    language: Language,
    now: Now,
) -> Response:
    """The card. Opening it changes nothing but the evidence: link scanners open links too."""
    issued, link = await by_link(session, token, now=now)
    pretended = request.query_params.get("as") if services.settings.mode == "demo" else None
    who = visitor(pretended or request.headers.get("user-agent", ""))
    if request.method == "GET":
        link.opened_at = link.opened_at or now
        await trace.record(
            session,
            issued.program_id,
            [issued.id],
            trace.LINK_OPENED,
            details={"device": who.device},
            now=now,
        )
    content = await content_of(session, issued, language=language)
    template = template_of(services, issued)
    drawn = preview(template, content, serial_number=issued.serial_number)
    here = f"{services.settings.link_url}/p/{token}"
    return page(
        request,
        services.texts,
        "pass.html",
        language=language,
        token=token,
        visitor=who,
        is_voided=content.voided,
        program_name=content.values["program_name"],
        points=content.values["points"],
        card=_card(drawn, f"/p/{token}/images"),
        has_apple=services.apple is not None,
        google=await google_offer(session, services, issued, content, language=language, now=now),
        here=here,
        qr=barcode_svg("PKBarcodeFormatQR", here),
    )


@router.api_route("/{token}/card.pkpass", methods=["GET", "HEAD"])
async def download(
    token: str, request: Request, services: FromServices, session: Transaction, now: Now
) -> Response:
    """The signed pass. Its address is as secret as the page's."""
    issued, _ = await by_link(session, token, now=now)
    if services.apple is None:
        raise Problem(503, "apple_not_configured", "No Apple certificate is set yet: see `passbell doctor`.")
    content = await content_of(session, issued)
    data = services.apple.pass_file(
        issued.template,
        content,
        serial_number=issued.serial_number,
        authentication_token=authentication_token(services.secret_key, issued.serial_number),
        now=now,
    )
    if request.method == "GET":
        await trace.record(
            session, issued.program_id, [issued.id], trace.DOWNLOADED, version=issued.version, now=now
        )
    headers = {
        "Content-Disposition": 'attachment; filename="card.pkpass"',
        "Cache-Control": "no-store",
        "Last-Modified": http_date(issued.last_modified),  # phones send it back when they ask for news
    }
    return Response(data, media_type=MEDIA_TYPE, headers=headers)


@router.get("/{token}/google")
async def google_link(token: str, services: FromServices, session: Reading, now: Now) -> Response:
    """The save link, which the page asks for while Google is being told of a new card; 204 until then."""
    issued, _ = await by_link(session, token, now=now)
    content = await content_of(session, issued)
    offer = await google_offer(session, services, issued, content, language=content.language, now=now)
    if offer is None or offer.save_link is None:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    return JSONResponse({"save_link": offer.save_link}, headers={"Cache-Control": "no-store"})


@router.get("/{token}/images/{name}")
async def image(token: str, name: str, services: FromServices, session: Reading, now: Now) -> Response:
    """A picture of this card, as its preview on the page shows it."""
    issued, _ = await by_link(session, token, now=now)
    content = await content_of(session, issued)
    template = template_of(services, issued)
    images = preview(template, content, serial_number=issued.serial_number).images
    if name not in images:
        raise Problem(404, "unknown_image", "This card has no picture of that name.")
    return Response(images[name], media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


def template_of(services: Services, issued: Pass) -> PassTemplate:
    """The template of a pass. Raises UnknownTemplate when its folder is gone."""
    template = services.templates.get(issued.template)
    if template is None:
        raise UnknownTemplate(f"pass template {issued.template!r} is not in the templates' folder")
    return template


def _card(preview: Preview, images_url: str) -> dict[str, object]:
    """What `<pass-preview>` draws: the JSON of the pass, its pictures' addresses and its first barcode."""
    barcodes = preview.pass_json.get("barcodes", [])
    return {
        "platform": "apple",
        "pass": preview.pass_json,
        "images": {slot: f"{images_url}/{slot}" for slot in preview.images},
        "barcode": barcode_svg(barcodes[0]["format"], barcodes[0]["message"]) if barcodes else "",
    }


def barcode_svg(apple_format: str, message: str) -> str:
    """A barcode as SVG that fills its box, without a quiet zone: the page gives it a white box."""
    made = zxingcpp.create_barcode(message, _ZXING[apple_format])  # pyright: ignore[reportUnknownMemberType]
    svg = made.to_svg(add_quiet_zones=False)
    return _SIZE.sub(r'<svg viewBox="0 0 \1 \2"', svg[svg.index("<svg") :], count=1)


# Fixed sizes in modules would draw it a few pixels wide.
_SIZE = re.compile(r'<svg width="(\d+)" height="(\d+)"')
_ZXING = {
    "PKBarcodeFormatQR": zxingcpp.BarcodeFormat.QRCode,
    "PKBarcodeFormatPDF417": zxingcpp.BarcodeFormat.PDF417,
    "PKBarcodeFormatAztec": zxingcpp.BarcodeFormat.Aztec,
    "PKBarcodeFormatCode128": zxingcpp.BarcodeFormat.Code128,
    "PKBarcodeFormatEAN13": zxingcpp.BarcodeFormat.EAN13,
    "PKBarcodeFormatCode39": zxingcpp.BarcodeFormat.Code39,
    "PKBarcodeFormatCodabar": zxingcpp.BarcodeFormat.Codabar,
    "PKBarcodeFormatI2of5": zxingcpp.BarcodeFormat.ITF,
}
