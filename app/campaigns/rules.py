"""Rules: a campaign to each member of whom something becomes true, at most once in a period.

    {"trigger": {"kind": "birthday"}, "period_days": 300,
     "campaign": {"texts": {"en": "Happy birthday, {{ member_name }}!"}, "points": 100}}

Every trigger is a condition of the one tree; `condition` narrows it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import ColumnElement, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import approval, drafts, plan, segments
from app.campaigns.audience import members_where
from app.campaigns.definition import InvalidDefinition
from app.campaigns.models import Campaign, Recipient, Rule, RuleFiring
from app.campaigns.plan import Fingerprints
from app.db import locked, new_id
from app.members.models import Member, Program

_VISITS = ("earn", "redeem")
_SOME = {"events": {"kinds": list(_VISITS), "op": "at_least", "value": 1}}
_YEAR_BUT_A_MONTH = 335


class UnknownRule(Exception):
    """No rule of this programme has this id."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trigger(_Strict):
    """What must become true. `days` and `at_least` are asked for where the kind needs them."""

    kind: Literal[
        "birthday",
        "anniversary",
        "lapsed",
        "tier_reached",
        "points_expiring",
        "coupon_expiring",
        "holiday",
        "condition",
    ]
    days: int = Field(0, ge=0, le=3650, strict=True)
    at_least: int = Field(1, ge=1, strict=True)
    tier: str | None = Field(None, max_length=32)
    template: str | None = Field(None, max_length=64)  # of the coupon; None: any pass that ends
    dates: tuple[str, ...] = Field((), max_length=50)  # of the holidays, such as "12-31"

    @model_validator(mode="after")
    def _has_dates(self) -> "Trigger":
        if self.kind == "holiday" and not self.dates:
            raise ValueError('name the days of the year, like "dates": ["12-31"]')
        return self

    def what_is_missing(self) -> str:
        """Why this would never become true; empty where it may."""
        if self.kind in {"lapsed", "points_expiring", "coupon_expiring"} and not self.days:
            return 'say how many days, like "days": 30'
        if self.kind == "tier_reached" and not self.tier:
            return 'name the tier, like "tier": "gold"'
        return ""


class RuleDefinition(_Strict):
    """A rule as it is written. `campaign` is a campaign's definition without an audience."""

    trigger: Trigger
    condition: dict[str, Any] = Field(default_factory=lambda: {"all": []})
    period_days: int = Field(ge=1, le=3650, strict=True)
    campaign: dict[str, Any]


# By kind, the condition that is true of members whose time it is.
_CONDITIONS: dict[str, Callable[[Trigger], dict[str, Any]]] = {
    "birthday": lambda trigger: _within("birthday", trigger.days),
    "anniversary": lambda trigger: {
        "all": [
            _within("joined", trigger.days),
            {"field": "joined", "op": "older_than_days", "value": _YEAR_BUT_A_MONTH},
        ]
    },
    "lapsed": lambda trigger: {
        "all": [
            _SOME,
            {"events": {"kinds": list(_VISITS), "op": "at_most", "value": 0, "within_days": trigger.days}},
        ]
    },
    "tier_reached": lambda trigger: {"field": "tier", "op": "is", "value": trigger.tier},
    "points_expiring": lambda trigger: {
        "expiring": {"within_days": trigger.days, "op": "at_least", "value": trigger.at_least}
    },
    "coupon_expiring": lambda trigger: {
        "pass_expiring": {"within_days": trigger.days}
        | ({"template": trigger.template} if trigger.template else {})
    },
    "holiday": lambda trigger: {"calendar": {"dates": list(trigger.dates), "within_days": trigger.days}},
    "condition": lambda trigger: {"all": []},
}


def _within(field: str, days: int) -> dict[str, Any]:
    return {"field": field, "op": "anniversary_within_days", "value": days}


def condition_of(definition: RuleDefinition) -> dict[str, Any]:
    """The whole condition of a rule."""
    return {"all": [_CONDITIONS[definition.trigger.kind](definition.trigger), definition.condition]}


def parse(data: dict[str, Any]) -> RuleDefinition:
    """A rule's definition. Raises InvalidDefinition."""
    try:
        parsed = RuleDefinition.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/" + "/".join(str(part)[:64] for part in first["loc"])
        raise InvalidDefinition(place, str(first["msg"])) from error
    for name in ("segment_id", "condition", "send_at", "variants", "hold_out_percent"):
        if name in parsed.campaign:
            raise InvalidDefinition(f"/campaign/{name}", "a rule has its own audience and time: leave it out")
    return parsed


async def by_id(session: AsyncSession, program_id: str, rule_id: str) -> Rule:
    """The rule with this id. Raises UnknownRule."""
    query = select(Rule).where(Rule.id == rule_id, Rule.program_id == program_id)
    if (found := await session.scalar(query)) is None:
        raise UnknownRule(f"no rule {rule_id}")
    return found


async def create(
    session: AsyncSession, program_id: str, *, name: str, definition: dict[str, Any], now: datetime
) -> Rule:
    """A rule that is not active yet. Raises InvalidDefinition, InvalidCondition."""
    parsed = parse(definition)
    if missing := parsed.trigger.what_is_missing():
        raise InvalidDefinition("/trigger", missing)
    await drafts.checked(session, program_id, {"condition": condition_of(parsed), **parsed.campaign})
    rule = Rule(
        id=new_id("rul"),
        program_id=program_id,
        name=name,
        is_active=False,
        definition=definition,
        created_at=now,
    )
    session.add(rule)
    await session.flush()
    return rule


async def activate(session: AsyncSession, rule: Rule, *, by: str, now: datetime) -> None:
    """Let the rule work from now on: of whom a tier was true before, it has become true for none.

    Whoever activates agrees to every campaign the rule will start.
    """
    parsed = parse(rule.definition)
    if not rule.is_active and parsed.trigger.kind in ("tier_reached", "condition"):
        await _take_up(session, rule, await _due(session, rule, parsed, now=now), None, now=now)
    rule.is_active, rule.activated_by = True, by
    await session.flush()


async def fire(
    session: AsyncSession, rule_id: str, fingerprints: Fingerprints, *, now: datetime
) -> Campaign | None:
    """Start a campaign to those whose time it is; None where there are none.

    Firings and campaign are one commit, under the rule's lock: nobody is taken up twice in a period.
    Raises EmptyAudience where none of them may be told anything, and what `plan.make` raises.
    """
    rule = await locked(session, select(Rule).where(Rule.id == rule_id))
    if not rule.is_active:
        return None
    parsed = parse(rule.definition)
    due = await _due(session, rule, parsed, now=now)
    if await session.scalar(members_where(rule.program_id, due).limit(1)) is None:
        return None
    campaign = await drafts.create(
        session,
        rule.program_id,
        name=rule.name,
        definition={"condition": condition_of(parsed), **parsed.campaign},
        by=f"rule:{rule.id}",
        now=now,
    )
    campaign.rule_id = rule.id
    made = await plan.make(session, campaign, fingerprints, by=f"rule:{rule.id}", among=due, now=now)
    told = select(Recipient.member_id).where(Recipient.plan_id == made.id, Recipient.state == "planned")
    await _take_up(session, rule, Member.id.in_(told), campaign.id, now=now)
    await approval.approve(
        session,
        campaign,
        fingerprints,
        plan_hash=made.hash,
        by=rule.activated_by or f"rule:{rule.id}",
        second_person_above=2**62,
        now=now,
    )
    return campaign


async def _due(
    session: AsyncSession, rule: Rule, parsed: RuleDefinition, *, now: datetime
) -> ColumnElement[bool]:
    program = await session.get_one(Program, rule.program_id)
    true_now = await segments.condition_sql(session, program, condition_of(parsed), now=now)
    recent = select(RuleFiring.member_id).where(
        RuleFiring.rule_id == rule.id, RuleFiring.at > now - timedelta(days=parsed.period_days)
    )
    return true_now & Member.id.not_in(recent)


async def _take_up(
    session: AsyncSession, rule: Rule, members: ColumnElement[bool], campaign_id: str | None, *, now: datetime
) -> None:
    found = members_where(rule.program_id, members).add_columns(
        literal(rule.id), literal(rule.program_id), literal(campaign_id), literal(now, RuleFiring.at.type)
    )
    columns = ["member_id", "rule_id", "program_id", "campaign_id", "at"]
    await session.execute(insert(RuleFiring).from_select(columns, found))
