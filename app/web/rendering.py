"""HTML pages: Jinja2 with autoescaping, texts in the reader's language, assets by content hash."""

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import QueryParams
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

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


YEAR_SECONDS = 31_536_000
FOR_EVER = f"public, max-age={YEAR_SECONDS}, immutable"
PROBLEMS = {404: "not_found", 405: "not_found", 503: "unavailable"}  # texts under [problem]


EMBED = "embed.js"  # the one script that belongs on other people's pages


class PageNotFound(Exception):
    """A person followed an address where there is no page; answered with a page that says so."""


def is_for_people(path: str) -> bool:
    """Whether a person stands behind an address, who wants a page; programs get problem+json."""
    return path in ("/", "/join", "/p") or path.startswith(("/join/", "/p/", "/u/", "/console"))


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
    sites: Sequence[str] = (),
    **context: object,
) -> HTMLResponse:
    """A page in this language, which these sites may frame. Texts are `t("join.send")` in the template."""
    html = _PAGES.get_template(name).render(
        t=partial(texts.get, language),
        language=language,
        language_urls={each: f"?{request.url.include_query_params(lang=each).query}" for each in languages},
        **context,
    )
    response = HTMLResponse(html, status)
    is_demo = request.app.state.services.settings.mode == "demo"
    policy = DEMO_POLICY if is_demo else PUBLIC_POLICY
    response.headers["Content-Security-Policy"] = framed_by(policy, sites)
    response.headers["Cache-Control"] = "no-store"
    if request.query_params.get("lang") == language:
        is_https = request.url.scheme == "https"
        response.set_cookie(
            "lang", language, max_age=YEAR_SECONDS, httponly=True, samesite="lax", secure=is_https
        )
    return response


def framed_by(policy: str, sites: Sequence[str]) -> str:
    """A content policy that lets these origins frame the page, besides whom it lets already."""
    if not sites:
        return policy
    allowed = " ".join(sites)
    return policy.replace("frame-ancestors 'none'", f"frame-ancestors {allowed}").replace(
        "frame-ancestors 'self'", f"frame-ancestors 'self' {allowed}"
    )


def error_page(request: Request, status: int, name: str = "problem.html") -> HTMLResponse:
    """A page that says in the reader's language what went wrong and what to do."""
    language = choose_language(
        request.query_params.get("lang") or request.cookies.get("lang"),
        request.headers.get("accept-language"),
    )
    return page(
        request,
        request.app.state.services.texts,
        name,
        language=language,
        status=status,
        problem=PROBLEMS.get(status, "failed" if status >= 500 else "refused"),
    )


class StaticAssets(StaticFiles):
    """static/: what is asked for by its content's hash may be kept for ever, the rest asks again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        is_named = QueryParams(scope["query_string"]).get("v") is not None
        response.headers["Cache-Control"] = FOR_EVER if is_named else "no-cache"
        if path == EMBED:
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response
