"""Whom a campaign tells what, and what it came to: recipients, the funnel, the comparison of its arms."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import drafts, export, results, segments
from app.campaigns.models import Campaign, Plan
from app.members.models import Program
from app.web.api import paging
from app.web.api.keys import CampaignsRead
from app.web.api.paging import Limit
from app.web.api.values import Given, IdInPath, storable
from app.web.dependencies import FromServices, Now, Reading
from app.web.errors import Problem

router = APIRouter(tags=["campaigns"])


class ComparisonOut(Given):
    """One arm against another. Rates are shares; `low` and `high` bound the difference at 95 %."""

    variant: str
    against: str
    step: str = Field(examples=["redeemed"])
    rate: float
    other_rate: float
    difference: float
    low: float
    high: float
    relative: float | None
    p_value: float
    better: float = Field(description="How probable it is that the arm's true rate is the higher one")


class ReportOut(Given):
    """Funnels: planned, told, accepted, asked, fetched, rang, opened, redeemed."""

    object: Literal["report"] = "report"
    campaign_id: str
    total: dict[str, int]
    groups: dict[str, dict[str, dict[str, int]]] = Field(description="By variant, wallet, language, route")
    comparisons: list[ComparisonOut]
    reasons: dict[str, int] = Field(description="Why nothing happened to so many")
    sms_avoided: int
    money_saved: str | None = Field(description="At the price an SMS part has had; null: none was sent yet")
    currency: str | None


class RecipientOut(Given):
    """What one member reads and gets, and what became of it."""

    position: int
    member_id: str
    language: str
    wallet: str
    route: str
    variant: str
    state: str
    reason: str
    message_before: str | None
    message_after: str | None
    points_before: int | None
    points_after: int | None
    version: int | None
    done_at: str | None


class RecipientsOut(Given):
    object: Literal["list"] = "list"
    data: list[RecipientOut]
    next_position: int | None = Field(description="Send it as `after` for the next ones")


@router.get("/campaigns/{campaign_id}/recipients", summary="Whom a campaign tells what")
async def list_recipients(
    campaign_id: IdInPath,
    caller: CampaignsRead,
    session: Reading,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Limit = paging.LIMIT_DEFAULT,
) -> RecipientsOut:
    """The text each member reads and the change of the pass: before it happens what would, later what did."""
    campaign = await drafts.by_id(session, caller.program_id, campaign_id)
    plan = await plan_of(session, campaign)
    program = await session.get_one(Program, campaign.program_id)
    found = await export.lines(session, program, campaign, plan, after=after, limit=limit)
    data = [RecipientOut.model_validate(line) for line in found]
    return RecipientsOut(data=data, next_position=data[-1].position if len(data) == limit else None)


@router.get(
    "/campaigns/{campaign_id}/recipients.csv",
    summary="All recipients as CSV",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def export_recipients(
    campaign_id: IdInPath, caller: CampaignsRead, services: FromServices, session: Reading
) -> StreamingResponse:
    campaign = await drafts.by_id(session, caller.program_id, campaign_id)
    await plan_of(session, campaign)
    return StreamingResponse(
        export.as_csv(services.read_sessions, campaign.id),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{campaign.id}.csv"'},
    )


@router.get("/campaigns/{campaign_id}/report", summary="What a campaign came to")
async def get_report(
    campaign_id: IdInPath,
    caller: CampaignsRead,
    session: Reading,
    now: Now,
    segment_id: Annotated[str | None, Query(max_length=64), AfterValidator(storable)] = None,
) -> ReportOut:
    """Counted from the trace and the ledger; with `segment_id`, of the recipients who are in it now."""
    campaign = await drafts.by_id(session, caller.program_id, campaign_id)
    plan = await plan_of(session, campaign)
    audience = None
    if segment_id is not None:
        program = await session.get_one(Program, caller.program_id)
        segment = await segments.by_id(session, program.id, segment_id)
        audience = await segments.segment_sql(session, program, segment, now=now)
    found = await results.report(session, campaign, plan, audience=audience, now=now)
    return ReportOut(
        campaign_id=campaign.id,
        total=found.total,
        groups=found.groups,
        comparisons=[_compared(each) for each in found.comparisons],
        reasons=found.reasons,
        sms_avoided=found.sms_avoided,
        money_saved=found.money_saved,
        currency=found.currency,
    )


@router.get(
    "/campaigns/{campaign_id}/report.csv",
    summary="What became of each recipient, as CSV",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def export_report(
    campaign_id: IdInPath, caller: CampaignsRead, services: FromServices, session: Reading, now: Now
) -> StreamingResponse:
    campaign = await drafts.by_id(session, caller.program_id, campaign_id)
    await plan_of(session, campaign)
    return StreamingResponse(
        export.results_as_csv(services.read_sessions, campaign.id, now=now),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{campaign.id}-report.csv"'},
    )


def _compared(each: results.Comparison) -> ComparisonOut:
    figures = {
        name: None if value is None else round(value, 6) for name, value in asdict(each.uplift).items()
    }
    return ComparisonOut.model_validate(
        {"variant": each.variant, "against": each.against, "step": each.step, **figures}
    )


async def plan_of(session: AsyncSession, campaign: Campaign) -> Plan:
    """The campaign's newest plan. Raises Problem 404 where it has none."""
    if campaign.plan_id is None:
        raise Problem(
            404, "not_planned", f"campaign {campaign.id} has no plan: POST /campaigns/.../plan first"
        )
    return await session.get_one(Plan, campaign.plan_id)
