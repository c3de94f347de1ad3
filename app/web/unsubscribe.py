"""The link in a campaign's e-mail, /u/{token}: no more letters, by a button or a mail program's click."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.campaigns import consent
from app.campaigns.letters import member_of
from app.members.models import Member
from app.web.dependencies import FromServices, Language, Now, Transaction
from app.web.rendering import PageNotFound, page

router = APIRouter(prefix="/u", include_in_schema=False)


@router.get("/{token}")
async def ask(request: Request, token: str, services: FromServices, language: Language) -> Response:
    """Ask first: link scanners open links too."""
    if member_of(services.secret_key, token) is None:
        raise PageNotFound
    return page(request, services.texts, "unsubscribe.html", language=language, is_done=False)


@router.post("/{token}")
async def unsubscribe(
    request: Request, token: str, services: FromServices, session: Transaction, now: Now, language: Language
) -> Response:
    """Say no for the reader. May be repeated."""
    member_id = member_of(services.secret_key, token)
    member = None if member_id is None else await session.get(Member, member_id)
    if member is None:
        raise PageNotFound
    await consent.suppress(session, member.program_id, member.id, "email", reason="unsubscribed", now=now)
    return page(request, services.texts, "unsubscribe.html", language=language, is_done=True)
