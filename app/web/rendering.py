"""HTML pages: Jinja2 with autoescaping, texts in the reader's language, assets by content hash."""

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.i18n import LANGUAGES, Texts, choose_language

HERE = Path(__file__).parent
STATIC = HERE / "static"

# No inline scripts or styles anywhere, nothing from other hosts: an injected tag does nothing.
PUBLIC_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# The demo's phones are browsers inside its desk: pages of the same address may frame each other there.
DEMO_POLICY = PUBLIC_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'; frame-src 'self'")
LANGUAGE_NAMES = {"en": "English", "ru": "Русский", "kk": "Қазақша"}


class PageNotFound(Exception):
    """A person followed an address where there is no page; answered with a page that says so."""


@cache
def asset(path: str) -> str:
    """The address of a file in static/, with its content's hash, so that it may be cached for ever."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
    return f"/static/{path}?v={digest}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    shared: dict[str, Any] = {"asset": asset, "language_names": LANGUAGE_NAMES}
    environment.globals.update(shared)
    return environment


_PAGES = _environment()


def page(
    request: Request,
    texts: Texts,
    name: str,
    *,
    language: str,
    status: int = 200,
    languages: tuple[str, ...] = LANGUAGES,
    **context: object,
) -> HTMLResponse:
    """A page in this language. Texts are `t("join.send")` in the template."""
    spoken = language if language in LANGUAGES else LANGUAGES[0]
    html = _PAGES.get_template(name).render(
        request=request, t=partial(texts.get, spoken), language=language, languages=languages, **context
    )
    response = HTMLResponse(html, status)
    is_demo = request.app.state.services.settings.mode == "demo"
    response.headers["Content-Security-Policy"] = DEMO_POLICY if is_demo else PUBLIC_POLICY
    response.headers["Cache-Control"] = "no-store"
    if request.query_params.get("lang") == language:
        response.set_cookie("lang", language, max_age=31_536_000, httponly=True, samesite="lax")
    return response


async def not_found_page(request: Request, _error: Exception) -> HTMLResponse:
    """The answer to PageNotFound."""
    language = choose_language(
        request.query_params.get("lang") or request.cookies.get("lang"),
        request.headers.get("accept-language"),
    )
    return page(request, request.app.state.services.texts, "not_found.html", language=language, status=404)
