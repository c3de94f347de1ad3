"""Rules: campaigns that start by themselves, to each member whose time it is."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import rules
from app.campaigns.models import Rule
from app.web.api import paging
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import ApprovalsWrite, CampaignsRead, CampaignsWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInPath, Name, Page, Taken, Time
from app.web.dependencies import Now, Reading, Transaction

router = APIRouter(tags=["campaigns"])

Definition = Annotated[
    dict[str, Any],
    Field(
        description="trigger (birthday, anniversary, lapsed, tier_reached, points_expiring, condition), "
        "condition, period_days, campaign",
        examples=[
            {
                "trigger": {"kind": "birthday"},
                "period_days": 300,
                "campaign": {"texts": {"en": "Happy birthday, {{ member_name }}!"}, "points": 100},
            }
        ],
    ),
]


class NewRule(Taken):
    """A rule that does nothing until it is activated."""

    name: Name = Field(examples=["Birthdays"])
    definition: Definition


class RuleOut(Given):
    """A campaign that starts by itself."""

    id: str = Field(examples=["rul_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["rule"] = "rule"
    name: str
    is_active: bool
    definition: dict[str, Any]
    activated_by: str | None
    created_at: Time

    @classmethod
    def of(cls, rule: Rule) -> "RuleOut":
        return cls(
            id=rule.id,
            name=rule.name,
            is_active=rule.is_active,
            definition=rule.definition,
            activated_by=rule.activated_by,
            created_at=rule.created_at,
        )


@router.post("/rules", status_code=201, summary="Add a rule", responses={201: {"model": RuleOut}})
async def create_rule(wanted: NewRule, caller: CampaignsWrite, once: OnlyOnce, now: Now) -> Response:
    async def work(session: AsyncSession) -> RuleOut:
        return RuleOut.of(
            await rules.create(
                session, caller.program_id, name=wanted.name, definition=wanted.definition, now=now
            )
        )

    return await once.answer(caller, wanted, work, now=now)


@router.get("/rules", summary="List rules")
async def list_rules(
    caller: CampaignsRead, session: Reading, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[RuleOut]:
    query = select(Rule).where(Rule.program_id == caller.program_id)
    page = await paging.page(session, query, Rule.id, limit=limit, cursor=cursor)
    return page.of([RuleOut.of(row) for row in page.rows])


@router.get("/rules/{rule_id}", summary="One rule")
async def get_rule(rule_id: IdInPath, caller: CampaignsRead, session: Reading) -> RuleOut:
    return RuleOut.of(await rules.by_id(session, caller.program_id, rule_id))


@router.post("/rules/{rule_id}/activate", summary="Let a rule work")
async def activate_rule(rule_id: IdInPath, caller: ApprovalsWrite, session: Transaction, now: Now) -> RuleOut:
    """Agree to every campaign the rule will start. Of whom it was true before, it starts none."""
    rule = await rules.by_id(session, caller.program_id, rule_id)
    await rules.activate(session, rule, by=caller.key_id, now=now)
    return RuleOut.of(rule)


@router.post("/rules/{rule_id}/deactivate", summary="Let a rule rest")
async def deactivate_rule(rule_id: IdInPath, caller: CampaignsWrite, session: Transaction) -> RuleOut:
    """Start no more campaigns by it; those under way go on, and can be stopped."""
    rule = await rules.by_id(session, caller.program_id, rule_id)
    rule.is_active = False
    await session.flush()
    return RuleOut.of(rule)
