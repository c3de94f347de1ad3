"""GET /api/v1/passes/{id}/budget: would it ring? Asked before anything is sent."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select

from app.members.models import Program
from app.passes import budget, issue
from app.passes.models import GoogleObject, Update
from app.passes.versions import GOOGLE
from app.web.api.keys import PassesRead
from app.web.api.values import Given, IdInPath, Time
from app.web.dependencies import Now, Reading

router = APIRouter(tags=["passes"])


class DecisionOut(Given):
    outcome: Literal["rings", "silent", "deferred"]
    why: str = Field(examples=["within_budget", "day_full", "kept_for_purchases", "quiet_hours"])
    until: Time | None = Field(description="When it would ring again, where that is known")


class AllowanceOut(Given):
    wallet: str = Field(examples=["apple", "google"])
    cause: Literal["field", "message"] = Field(
        description="field: a value such as the balance changes; message: a text is added"
    )
    live: DecisionOut = Field(description="For a change by the member, such as a purchase")
    campaign: DecisionOut
    rang_at: list[Time] = Field(description="What rang in the last 24 hours, oldest first")


class BudgetOut(Given):
    pass_id: str
    held_in_google_wallet: bool
    allowances: list[AllowanceOut]


@router.get("/passes/{pass_id}/budget", summary="Would a change or a message ring now?")
async def get_budget(pass_id: IdInPath, caller: PassesRead, session: Reading, now: Now) -> BudgetOut:
    """By wallet and cause, whether the next change or message would ring, and why not.

    Asking counts nothing. Apple's phones ring for every change that the template announces.
    """
    issued = await issue.by_id(session, caller.program_id, pass_id)
    program = await session.get_one(Program, caller.program_id)
    wallets = await session.scalars(
        select(Update.wallet).where(Update.pass_id == issued.id).order_by(Update.wallet)
    )
    rang = await budget.rang_today(session, issued.id, now=now)
    known = await session.get(GoogleObject, issued.id)
    return BudgetOut(
        pass_id=issued.id,
        held_in_google_wallet=known is not None and known.has_users,
        allowances=[
            _allowance(budget.rules_of(program), rang, wallet, cause, now)
            for wallet in wallets
            for cause in (("field", "message") if wallet == GOOGLE else ("field",))
        ],
    )


def _allowance(
    rules: budget.Rules, rang: list[budget.Rang], wallet: str, cause: budget.Cause, now: datetime
) -> AllowanceOut:
    live, campaign = (
        budget.decide(rules, rang, wallet, cause, purpose, now=now) for purpose in ("live", "campaign")
    )
    return AllowanceOut(
        wallet=wallet,
        cause=cause,
        live=DecisionOut(outcome=live.outcome, why=live.why, until=live.until),
        campaign=DecisionOut(outcome=campaign.outcome, why=campaign.why, until=campaign.until),
        rang_at=[each.at for each in rang if (each.wallet, each.cause) == (wallet, cause)],
    )
