"""Campaigns: written in a form, planned in plain words, approved, watched, and measured."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData

from app.campaigns import approval, drafts, results, steering
from app.campaigns.conditions import InvalidCondition
from app.campaigns.definition import InvalidDefinition
from app.campaigns.models import Campaign, Plan, Segment
from app.campaigns.segments import UnknownSegment
from app.i18n import LANGUAGES
from app.members.models import Program
from app.staff import audit
from app.staff.roles import Permission, may
from app.wallets.templates.fingerprint import fingerprints
from app.web.api.values import IdInPath
from app.web.console.pages import console_page, the_program
from app.web.console.route import PATH, ConsoleRoute, needs, who_is
from app.web.console.sign_in import FIELDS_MAX
from app.web.dependencies import FromServices, Language, Now, Reading, Transaction
from app.web.rendering import PageNotFound

router = APIRouter(prefix="/console/campaigns", route_class=ConsoleRoute)

SHOWN_MAX = 50
LIVE_RESULTS_MAX = 20_000  # results of more are counted when the campaign rests: the page looks every 2 s
MOVING = ("planning", "approved", "running")  # a page that shows these looks again by itself
HERE = f"{PATH}/campaigns"

# What stands in the way of a button, as the key of its text.
_PROBLEMS: dict[type[Exception], str] = {
    drafts.CampaignState: "moved_on",
    approval.PlanChanged: "plan_changed",
    approval.PlanExpired: "plan_expired",
    approval.TemplateChanged: "template_changed",
    approval.SecondPersonNeeded: "second_person",
}


@router.get("")
@needs(Permission.CAMPAIGNS_READ)
async def show_all(
    request: Request,
    session: Reading,
    language: Language,
    before: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """The campaigns, newest first; `before` is the id to go on from."""
    program = await the_program(request, session)
    query = select(Campaign).where(Campaign.program_id == (program.id if program else ""))
    if before is not None:
        query = query.where(Campaign.id < before.replace("\0", ""))
    found = (await session.scalars(query.order_by(Campaign.id.desc()).limit(SHOWN_MAX))).all()
    return console_page(
        request,
        "campaigns.html",
        language=language,
        time_zone=program.time_zone if program else "UTC",
        program=program,
        campaigns=found,
        older=found[-1].id if len(found) == SHOWN_MAX else None,
        may_write=may(who_is(request).role, Permission.CAMPAIGNS_WRITE),
    )


@router.get("/new")
@needs(Permission.CAMPAIGNS_WRITE)
async def show_form(request: Request, session: Reading, language: Language) -> Response:
    """The empty form."""
    return await _form(request, session, language, given={})


async def _form(
    request: Request,
    session: AsyncSession,
    language: str,
    *,
    given: Mapping[str, str],
    status: int = 200,
    problem: str = "",
    details: str = "",
) -> Response:
    program = await the_program(request, session)
    if program is None:
        raise PageNotFound
    segments = await session.scalars(
        select(Segment).where(Segment.program_id == program.id).order_by(Segment.name)
    )
    return console_page(
        request,
        "campaign_new.html",
        language=language,
        status=status,
        program=program,
        segments=segments.all(),
        text_languages=_text_languages(program),
        given=given,
        problem=problem,
        details=details,
    )


def _text_languages(program: Program) -> tuple[str, ...]:
    """The languages a text is asked for in: the programme's own first."""
    return (program.language, *(each for each in LANGUAGES if each != program.language))


@router.post("/new")
@needs(Permission.CAMPAIGNS_WRITE)
async def create(request: Request, session: Transaction, language: Language, now: Now) -> Response:
    """Draft it and have it planned at once: what would happen is the next thing one sees."""
    form = await request.form(max_fields=FIELDS_MAX)
    given = {name: str(value)[:4000] for name, value in form.items()}
    program, who = await the_program(request, session), who_is(request)
    if program is None:
        raise PageNotFound
    name = given.get("name", "").strip()
    if not name or len(name) > 128 or not name.isprintable():
        return await _form(request, session, language, given=given, status=422, problem="name_missing")
    if not given.get(f"text_{program.language}", "").strip():
        return await _form(request, session, language, given=given, status=422, problem="text_missing")
    try:
        async with session.begin_nested():
            campaign = await drafts.create(
                session,
                program.id,
                name=name,
                definition=_definition(program, given),
                by=who.user_id,
                now=now,
            )
            await steering.ask_for_plan(session, program.id, campaign.id, by=who.user_id)
    except (InvalidDefinition, InvalidCondition, UnknownSegment) as refusal:
        return await _form(
            request, session, language, given=given, status=422, problem="refused", details=str(refusal)
        )
    await audit.record(session, who.actor, "campaign.drafted", campaign.id, after={"name": name}, now=now)
    return RedirectResponse(f"{HERE}/{campaign.id}", 303)


def _definition(program: Program, given: Mapping[str, str]) -> dict[str, Any]:
    """What the form says, as a campaign's definition."""
    texts = {
        language: text
        for language in _text_languages(program)
        if (text := given.get(f"text_{language}", "").strip())
    }
    points = given.get("points", "").strip()
    audience = given.get("audience", "")
    return {
        **({"segment_id": audience} if audience else {"condition": {"all": []}}),
        "texts": texts,
        "default_language": program.language,
        "points": int(points) if points.isascii() and points.isdigit() else points or 0,
        **({"send_at": given["send_at"]} if given.get("send_at") else {}),
    }


@router.get("/{campaign_id}")
@needs(Permission.CAMPAIGNS_READ)
async def show(
    request: Request, campaign_id: IdInPath, session: Reading, language: Language, now: Now
) -> Response:
    """A campaign as it stands: its plan, its progress, or what came of it."""
    return await _page(request, session, language, await _find(request, session, campaign_id), now=now)


async def _find(request: Request, session: AsyncSession, campaign_id: str) -> tuple[Program, Campaign]:
    program = await the_program(request, session)
    campaign = await session.get(Campaign, campaign_id)
    if program is None or campaign is None or campaign.program_id != program.id:
        raise PageNotFound
    return program, campaign


async def _page(
    request: Request,
    session: AsyncSession,
    language: str,
    found: tuple[Program, Campaign],
    *,
    now: datetime,
    status: int = 200,
    problem: str = "",
) -> Response:
    program, campaign = found
    plan = await session.get(Plan, campaign.plan_id) if campaign.plan_id else None
    is_moving = campaign.state in MOVING
    report = None
    is_counted = not is_moving or (plan is not None and plan.recipients <= LIVE_RESULTS_MAX)
    if plan is not None and campaign.started_at is not None and is_counted:
        report = await results.report(session, campaign, plan, audience=None, now=now)
    role = who_is(request).role
    return console_page(
        request,
        "campaign.html",
        language=language,
        time_zone=program.time_zone,
        status=status,
        program=program,
        campaign=campaign,
        messages=campaign.definition.get("texts", {}),
        plan=plan,
        report=report,
        steps=results.STEPS,
        is_moving=is_moving,
        problem=problem,
        may_write=may(role, Permission.CAMPAIGNS_WRITE),
        may_approve=may(role, Permission.CAMPAIGNS_APPROVE),
    )


@router.post("/{campaign_id}/approve")
@needs(Permission.CAMPAIGNS_APPROVE)
async def approve(
    request: Request,
    campaign_id: IdInPath,
    session: Transaction,
    services: FromServices,
    language: Language,
    now: Now,
) -> Response:
    """Agree to the plan that was shown: it runs at its time."""

    async def work(program: Program, form: FormData) -> None:
        campaign = await drafts.to_change(session, program.id, campaign_id, "planned")
        who = who_is(request)
        await approval.approve(
            session,
            campaign,
            fingerprints(services.templates),
            plan_hash=str(form.get("plan_hash", "")),
            by=who.user_id,
            second_person_above=services.settings.campaign_second_person_above,
            now=now,
        )
        after = {"plan_hash": str(form.get("plan_hash", ""))}
        await audit.record(session, who.actor, "campaign.approved", campaign_id, after=after, now=now)

    return await _do(request, campaign_id, session, language, now, work)


@router.post("/{campaign_id}/steer")
@needs(Permission.CAMPAIGNS_WRITE)
async def steer(
    request: Request, campaign_id: IdInPath, session: Transaction, language: Language, now: Now
) -> Response:
    """Plan it again, hold it, let it go on, or end it for good."""

    async def work(program: Program, form: FormData) -> None:
        who, what = who_is(request), str(form.get("what", ""))
        if what == "plan":
            await steering.ask_for_plan(session, program.id, campaign_id, by=who.user_id)
        elif what == "pause":
            await steering.pause(session, program.id, campaign_id, now=now)
        elif what == "resume":
            await steering.resume(session, program.id, campaign_id, now=now)
        elif what == "stop":
            await steering.stop(session, program.id, campaign_id, reason=f"stopped by {who.name}", now=now)
        else:
            raise PageNotFound
        await audit.record(session, who.actor, f"campaign.{what}", campaign_id, now=now)

    return await _do(request, campaign_id, session, language, now, work)


async def _do(
    request: Request, campaign_id: str, session: AsyncSession, language: str, now: datetime, work: Any
) -> Response:
    """Press a button and look at the campaign again; what stood in the way is said there."""
    program, campaign = await _find(request, session, campaign_id)
    form = await request.form(max_fields=FIELDS_MAX)
    try:
        async with session.begin_nested():
            await work(program, form)
    except tuple(_PROBLEMS) as refusal:
        await session.refresh(campaign)
        return await _page(
            request,
            session,
            language,
            (program, campaign),
            now=now,
            status=422,
            problem=_PROBLEMS[type(refusal)],
        )
    return RedirectResponse(f"{HERE}/{campaign_id}", 303)
