"""The enrolment form at /join/{slug}: a page for a phone held in one hand."""

import hashlib
import math
import re
from dataclasses import asdict

import structlog
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from app import rate_limits
from app.db import new_id
from app.enrolment import limits, proof
from app.enrolment.forms import FormDefinition, Mistakes, clean, parse_definition, read
from app.enrolment.limits import TooMany
from app.enrolment.models import Form, Submission
from app.enrolment.submit import Origin, submit
from app.i18n import choose_language
from app.members import people
from app.members.models import Notice, Program
from app.web.dependencies import FromServices, Now, Reading, Transaction
from app.web.rendering import FOR_EVER, PageNotFound, page
from app.wiring import Services

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/join", include_in_schema=False)

FIELDS_MAX = 60
SOURCE_TAG_MAX = 64
DEMO_SLACK = 30  # one person plays all customers there, on one address
FORM_TYPE = "application/x-www-form-urlencoded"
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,64}")


@router.api_route("/{slug}", methods=["GET", "HEAD"])
async def show(slug: str, request: Request, services: FromServices, session: Reading, now: Now) -> Response:
    """The empty form."""
    form, program, definition = await _find(session, slug)
    language = _language(request, definition)
    if not form.is_open:
        return _page(request, services, "closed.html", program, definition, language, status=410)
    return _form_page(request, services, form, program, definition, language, now=now)


@router.api_route("/{slug}/done", methods=["GET", "HEAD"])
async def done(slug: str, request: Request, services: FromServices, session: Reading) -> Response:
    """What to do next: the same page for everyone, known or new."""
    _, program, definition = await _find(session, slug)
    return _page(request, services, "done.html", program, definition, _language(request, definition))


@router.get("/{slug}/theme.css")
async def theme(slug: str, session: Reading) -> Response:
    """The brand's colours: a style sheet of its own, because the pages allow no inline styles."""
    _, _, definition = await _find(session, slug)
    return Response(_css(definition), media_type="text/css", headers={"Cache-Control": FOR_EVER})


@router.post("/{slug}")
async def send(
    slug: str, request: Request, services: FromServices, session: Transaction, now: Now
) -> Response:
    """Read the form; enrol or greet again; go to the page that says an SMS is on its way."""
    form, program, definition = await _find(session, slug)
    language = _language(request, definition)
    if not form.is_open:
        return _page(request, services, "closed.html", program, definition, language, status=410)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise HTTPException(415, f"send the form as {FORM_TYPE}")
    data = await request.form(max_fields=FIELDS_MAX)
    if data.get("website"):  # a field no person sees: only a robot fills it in
        log.info("enrolment.honeypot", form=slug)
        return _redirect(slug, language)
    values = {name: [str(value) for value in data.getlist(name)] for name in data}
    try:
        filled = read(definition, values, country=program.country, language=language, today=now.date())
    except Mistakes as mistakes:
        return _form_page(
            request, services, form, program, definition, language, now=now, data=data, mistakes=mistakes
        )

    origin = _origin(request, data)
    is_proven = await _is_proven(services, session, data, now=now)
    if data.get("proof") and not is_proven:  # an hour old, or used: the browser finds a new one
        return _form_page(
            request, services, form, program, definition, language, now=now, data=data, is_stale=True
        )
    try:
        await limits.take(
            session,
            program.id,
            services.secret_key,
            phone=filled.phone,
            address=_address(request),
            is_proven=is_proven,
            per_day=services.settings.sms_spend_limit_per_day,
            slack=DEMO_SLACK if services.settings.mode == "demo" else 1,
            now=now,
        )
    except TooMany as refusal:
        _note_refusal(session, program, form, origin, refusal, now=now)
        busy = _page(
            request, services, "busy.html", program, definition, language, status=429, limit=refusal.limit
        )
        busy.headers["Retry-After"] = str(math.ceil(refusal.retry_after_seconds))
        return busy
    await submit(
        session,
        program,
        form,
        filled,
        origin,
        link_url=services.settings.link_url,
        texts=services.texts,
        wallets=services.wallets(program.country),
        now=now,
    )
    return _redirect(slug, language)


async def _find(session: AsyncSession, slug: str) -> tuple[Form, Program, FormDefinition]:
    if not _SLUG.fullmatch(slug):
        raise PageNotFound(slug)
    query = select(Form, Program).join(Program, Program.id == Form.program_id).where(Form.slug == slug)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise PageNotFound(slug)
    return row.Form, row.Program, parse_definition(row.Form.definition)


def _language(request: Request, definition: FormDefinition) -> str:
    return choose_language(
        request.query_params.get("lang") or request.cookies.get("lang"),
        request.headers.get("accept-language"),
        definition.languages,
        default=definition.languages[0],
    )


def _form_page(
    request: Request,
    services: Services,
    form: Form,
    program: Program,
    definition: FormDefinition,
    language: str,
    *,
    now: Now,
    data: FormData | None = None,
    mistakes: Mistakes | None = None,
    is_stale: bool = False,
) -> Response:
    """The form, with what was typed before and what is wrong with it."""
    cost = services.settings.proof_of_work_cost
    challenge = proof.challenge(services.secret_key, cost=cost, now=now) if cost else None
    return _page(
        request,
        services,
        "join.html",
        program,
        definition,
        language,
        status=422 if mistakes or is_stale else 200,
        slug=form.slug,
        today=now.date(),
        phone_example=people.phone_example((definition.countries or (program.country,))[0]),
        source_tag=_source_tag(request, data),
        challenge=asdict(challenge) if challenge else None,
        data=data or FormData(),
        mistakes=mistakes.by_field if mistakes else {},
        is_stale=is_stale,
    )


def _page(
    request: Request,
    services: Services,
    name: str,
    program: Program,
    definition: FormDefinition,
    language: str,
    *,
    status: int = 200,
    **context: object,
) -> Response:
    return page(
        request,
        services.texts,
        name,
        language=language,
        languages=definition.languages,
        status=status,
        program=program,
        definition=definition,
        sites=definition.sites,
        theme_url=f"/join/{request.path_params['slug']}/theme.css?v={_digest(definition)}",
        **context,
    )


def _css(definition: FormDefinition) -> str:
    colours = definition.theme
    return f":root{{--accent:{colours.accent};--paper:{colours.background}}}"


def _digest(definition: FormDefinition) -> str:
    return hashlib.sha256(_css(definition).encode()).hexdigest()[:12]


def _redirect(slug: str, language: str) -> Response:
    return RedirectResponse(f"/join/{slug}/done?lang={language}", 303)


async def _is_proven(services: Services, session: AsyncSession, data: FormData, *, now: Now) -> bool:
    if not services.settings.proof_of_work_cost:
        return True
    return await proof.spend(session, services.secret_key, str(data.get("proof") or ""), now=now)


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _source_tag(request: Request, data: FormData | None) -> str:
    return clean(str((data and data.get("src")) or request.query_params.get("src") or ""))[:SOURCE_TAG_MAX]


def _origin(request: Request, data: FormData) -> Origin:
    return Origin(network=rate_limits.network_of(_address(request)), source_tag=_source_tag(request, data))


def _note_refusal(
    session: AsyncSession, program: Program, form: Form, origin: Origin, refusal: TooMany, *, now: Now
) -> None:
    """Keep what was refused, without the person's data; managers hear of the limits that guard the purse."""
    log.warning("enrolment.limited", form=form.slug, limit=refusal.limit.name)
    session.add(
        Submission(
            id=new_id("sub"),
            program_id=program.id,
            form_id=form.id,
            member_id=None,
            outcome="held",
            source_tag=origin.source_tag,
            answers={},
            at=now,
        )
    )
    if refusal.is_news:
        session.add(
            Notice(
                id=new_id("ntc"),
                program_id=program.id,
                kind="enrolment.limited",
                member_id=None,
                details={"form": form.slug, "limit": refusal.limit.name},
                created_at=now,
            )
        )
