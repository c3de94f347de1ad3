"""Campaigns: drafted, planned, approved, run; each step by its own request."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal, cast

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import approval, drafts, steering
from app.campaigns.models import Campaign, Plan
from app.wallets.templates.fingerprint import fingerprints
from app.web.api import paging
from app.web.api.campaign_results import plan_of
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import ApprovalsWrite, CampaignsRead, CampaignsWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInPath, Name, Page, Taken, Time, Word
from app.web.dependencies import FromServices, Now, Reading, Transaction
from app.wiring import Services

router = APIRouter(tags=["campaigns"])

PROGRESS_SECONDS = 1.0
PROGRESS_STREAM_SECONDS = 600  # then the browser asks again by itself
State = Literal["draft", "planning", "planned", "approved", "running", "paused", "stopped", "done"]
Definition = Annotated[
    dict[str, Any],
    Field(
        description="segment_id or condition; texts or variants by language; points, fallback, send_at, "
        "zone, quiet_hours, per_second, cap, hold_out_percent, window_days, default_language",
        examples=[
            {
                "condition": {"all": [{"field": "points", "op": "at_least", "value": 100}]},
                "texts": {"en": "Double points on Sunday, {{ member_name }}!"},
                "points": 50,
            }
        ],
    ),
]


class NewCampaign(Taken):
    """A draft. Nothing happens until it is planned and approved."""

    name: Name = Field(examples=["Double points on Sunday"])
    definition: Definition


class CampaignChanges(Taken):
    """What to change; a field that is not sent stays. A planned campaign is a draft again then."""

    name: Name | None = None
    definition: Definition | None = None


class PlanHash(Taken):
    """Agree to exactly this plan."""

    plan_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Why(Taken):
    reason: Annotated[str, Field(max_length=256, pattern="^[^\x00]*$")] = ""


class Winner(Taken):
    variant: Word = Field(examples=["a"])


class CampaignOut(Given):
    """A message to an audience, with points or without."""

    id: str = Field(examples=["cmp_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["campaign"] = "campaign"
    name: str
    state: State
    reason: str = Field(description="Why it could not be planned, or was stopped")
    definition: dict[str, Any]
    plan_id: str | None
    done: int = Field(description="Recipients something happened to")
    skipped: int
    winner: str | None
    created_by: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None

    @classmethod
    def of(cls, campaign: Campaign) -> "CampaignOut":
        return cls(
            id=campaign.id,
            name=campaign.name,
            state=cast(State, campaign.state),
            reason=campaign.reason,
            definition=campaign.definition,
            plan_id=campaign.plan_id,
            done=campaign.done,
            skipped=campaign.skipped,
            winner=campaign.winner,
            created_by=campaign.created_by,
            created_at=campaign.created_at,
            started_at=campaign.started_at,
            finished_at=campaign.finished_at,
        )


class PlanOut(Given):
    """Exactly what would happen. An approval names the hash."""

    id: str
    object: Literal["plan"] = "plan"
    campaign_id: str
    hash: str
    recipients: int
    totals: dict[str, Any] = Field(
        description="by_wallet, by_language, by_route, by_variant, left_out, points, sms, notifications, "
        "google (route: class or object, why, cards, calls, seconds), conflicts, duration_seconds, "
        "warnings, test"
    )
    zones: dict[str, str | None] = Field(description="By time zone: when its members are due; null: at once")
    created_by: str
    created_at: Time
    expires_at: Time


@router.post(
    "/campaigns", status_code=201, summary="Draft a campaign", responses={201: {"model": CampaignOut}}
)
async def create_campaign(wanted: NewCampaign, caller: CampaignsWrite, once: OnlyOnce, now: Now) -> Response:
    async def work(session: AsyncSession) -> CampaignOut:
        campaign = await drafts.create(
            session,
            caller.program_id,
            name=wanted.name,
            definition=wanted.definition,
            by=caller.key_id,
            now=now,
        )
        return CampaignOut.of(campaign)

    return await once.answer(caller, wanted, work, now=now)


@router.get("/campaigns", summary="List campaigns")
async def list_campaigns(
    caller: CampaignsRead, session: Reading, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[CampaignOut]:
    query = select(Campaign).where(Campaign.program_id == caller.program_id)
    page = await paging.page(session, query, Campaign.id, limit=limit, cursor=cursor)
    return page.of([CampaignOut.of(row) for row in page.rows])


@router.get("/campaigns/{campaign_id}", summary="One campaign")
async def get_campaign(campaign_id: IdInPath, caller: CampaignsRead, session: Reading) -> CampaignOut:
    return CampaignOut.of(await drafts.by_id(session, caller.program_id, campaign_id))


@router.patch("/campaigns/{campaign_id}", summary="Change a draft")
async def update_campaign(
    campaign_id: IdInPath, wanted: CampaignChanges, caller: CampaignsWrite, session: Transaction
) -> CampaignOut:
    campaign = await drafts.to_change(session, caller.program_id, campaign_id, "draft", "planned")
    return CampaignOut.of(
        await drafts.change(session, campaign, name=wanted.name, definition=wanted.definition)
    )


@router.post("/campaigns/{campaign_id}/plan", status_code=202, summary="Have a campaign planned")
async def plan_campaign(campaign_id: IdInPath, caller: CampaignsWrite, session: Transaction) -> CampaignOut:
    """Freeze the audience and count what would happen. The campaign is "planning", then "planned"; or a
    draft again, with the reason."""
    return CampaignOut.of(
        await steering.ask_for_plan(session, caller.program_id, campaign_id, by=caller.key_id)
    )


@router.get("/campaigns/{campaign_id}/plan", summary="What a campaign would do")
async def get_plan(campaign_id: IdInPath, caller: CampaignsRead, session: Reading) -> PlanOut:
    plan = await plan_of(session, await drafts.by_id(session, caller.program_id, campaign_id))
    return PlanOut(
        id=plan.id,
        campaign_id=plan.campaign_id,
        hash=plan.hash,
        recipients=plan.recipients,
        totals=plan.totals,
        zones=plan.zones,
        created_by=plan.created_by,
        created_at=plan.created_at,
        expires_at=plan.expires_at,
    )


@router.post("/campaigns/{campaign_id}/approve", summary="Agree to a plan")
async def approve_campaign(
    campaign_id: IdInPath,
    wanted: PlanHash,
    caller: ApprovalsWrite,
    services: FromServices,
    session: Transaction,
    now: Now,
) -> CampaignOut:
    """Let exactly this plan run, at its time. A large one needs another key than the one that planned it."""
    campaign = await drafts.to_change(session, caller.program_id, campaign_id, "planned")
    await approval.approve(
        session,
        campaign,
        fingerprints(services.templates),
        plan_hash=wanted.plan_hash,
        by=caller.key_id,
        second_person_above=services.settings.campaign_second_person_above,
        now=now,
    )
    return CampaignOut.of(campaign)


@router.post("/campaigns/{campaign_id}/pause", summary="Hold a campaign where it is")
async def pause_campaign(
    campaign_id: IdInPath, caller: CampaignsWrite, session: Transaction, now: Now
) -> CampaignOut:
    return CampaignOut.of(await steering.pause(session, caller.program_id, campaign_id, now=now))


@router.post("/campaigns/{campaign_id}/resume", summary="Let a paused campaign go on")
async def resume_campaign(
    campaign_id: IdInPath, caller: CampaignsWrite, session: Transaction, now: Now
) -> CampaignOut:
    return CampaignOut.of(await steering.resume(session, caller.program_id, campaign_id, now=now))


@router.post("/campaigns/{campaign_id}/stop", summary="End a campaign for good")
async def stop_campaign(
    campaign_id: IdInPath, caller: CampaignsWrite, session: Transaction, now: Now, wanted: Why | None = None
) -> CampaignOut:
    """Nobody else is told, within five seconds. Who was told stays told."""
    reason = wanted.reason if wanted else ""
    return CampaignOut.of(
        await steering.stop(session, caller.program_id, campaign_id, reason=reason, now=now)
    )


@router.post("/campaigns/{campaign_id}/winner", summary="Send the winning variant to the rest")
async def choose_winner(
    campaign_id: IdInPath, wanted: Winner, caller: CampaignsWrite, session: Transaction
) -> CampaignOut:
    return CampaignOut.of(
        await steering.choose_winner(session, caller.program_id, campaign_id, wanted.variant)
    )


@router.get(
    "/campaigns/{campaign_id}/progress",
    summary="Progress, as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream_progress(
    campaign_id: IdInPath, caller: CampaignsRead, services: FromServices, session: Reading
) -> StreamingResponse:
    """An event whenever something has changed, at most one a second; the stream ends with the campaign."""
    await drafts.by_id(session, caller.program_id, campaign_id)
    return StreamingResponse(_progress(services, campaign_id), media_type="text/event-stream")


async def _progress(services: Services, campaign_id: str) -> AsyncGenerator[bytes]:
    told: bytes | None = None
    for _ in range(int(PROGRESS_STREAM_SECONDS / PROGRESS_SECONDS)):
        async with services.read_sessions() as session:
            campaign = await session.get_one(Campaign, campaign_id)
            plan = await session.get(Plan, campaign.plan_id) if campaign.plan_id else None
        facts = {
            "state": campaign.state,
            "done": campaign.done,
            "skipped": campaign.skipped,
            "recipients": plan.recipients if plan else None,
        }
        event = b"data: " + orjson.dumps(facts) + b"\n\n"
        if event != told:
            told = event
            yield event
        if campaign.state not in ("planning", "approved", "running"):
            return
        await asyncio.sleep(PROGRESS_SECONDS)
