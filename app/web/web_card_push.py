"""A browser asks to be told of its card's changes, or not to be: /p/{token}/card/subscription."""

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.passes import web_cards
from app.passes.content import content_of
from app.passes.issue import by_link
from app.wallets.web.card import shown_values, web_card
from app.wallets.web.encryption import BadSubscription, BrowserKeys
from app.web.dependencies import FromServices, Language, Now, Transaction
from app.web.errors import Problem
from app.web.pass_page import template_of

router = APIRouter(prefix="/p/{token}/card", include_in_schema=False)


class Keys(BaseModel):
    """The public half of the browser's keys, base64url."""

    p256dh: str = Field(max_length=128)
    auth: str = Field(max_length=32)


class SubscriptionIn(BaseModel):
    """What PushSubscription.toJSON() gives; `language` is that of the page."""

    endpoint: str = Field(max_length=1024)
    keys: Keys


class EndpointIn(BaseModel):
    """Which subscription."""

    endpoint: str = Field(max_length=1024)


@router.post("/subscription", status_code=204)
async def subscribe(
    token: str,
    body: SubscriptionIn,
    services: FromServices,
    session: Transaction,
    language: Language,
    now: Now,
) -> Response:
    """Push to this browser when the card changes, in the language of its page."""
    issued, _ = await by_link(session, token, now=now)
    if not services.web_push.is_known(body.endpoint):
        raise Problem(422, "unknown_push_service", "This browser's push service is not one we call.")
    try:
        BrowserKeys(body.keys.p256dh, body.keys.auth).decoded()
    except BadSubscription as error:
        raise Problem(422, "bad_subscription", str(error)) from error
    content = await content_of(session, issued, language=language)
    card = web_card(template_of(services, issued), content)
    browser = web_cards.Browser(body.endpoint, body.keys.p256dh, body.keys.auth, language)
    await web_cards.subscribe(session, issued, browser, shown=shown_values(card), now=now)
    return Response(status_code=204)


@router.delete("/subscription", status_code=204)
async def unsubscribe(token: str, body: EndpointIn, session: Transaction, now: Now) -> Response:
    """Push to this browser no more."""
    issued, _ = await by_link(session, token, now=now)
    await web_cards.unsubscribe(session, issued, body.endpoint, now=now)
    return Response(status_code=204)
