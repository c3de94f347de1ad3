"""What a plan does to the notification budget: who rings, who is told in silence, and who only later."""

from collections import Counter
from datetime import datetime

from sqlalchemy import ColumnElement, Subquery, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.models import Recipient
from app.campaigns.recipients import Freezing
from app.campaigns.schedule import due_at
from app.passes import budget
from app.passes.budget import Cause, Purpose, Rang
from app.passes.models import Pass, Ring
from app.passes.versions import APPLE, GOOGLE

# What rings for the text of a campaign: an iPhone shows the field that changed, Google a message.
_CAUSES: dict[str, Cause] = {APPLE: "field", GOOGLE: "message"}
# Of a pass's rings, those a budget looks at: by wallet and cause, or by what they were for.
_KINDS: tuple[tuple[Cause, Purpose], ...] = (
    ("message", "campaign"),
    ("field", "campaign"),
    ("message", "live"),
)


async def notifications_of(session: AsyncSession, freezing: Freezing) -> dict[str, dict[str, int]]:
    """By wallet (apple, google, other): how many members ring, are told in silence, or are told later.

    Whoever has both wallets counts in both. As things stand when the campaign begins: what rings between the
    plan and the run is not known yet. The campaign's own quiet hours defer all of it, and stand in its times.
    """
    at = max(freezing.now, due_at(freezing.definition, freezing.program.time_zone) or freezing.now)
    found = {
        wallet: outcomes
        for wallet in (APPLE, GOOGLE)
        if (outcomes := await _outcomes(session, freezing, wallet, at)).total()
    }
    others = await session.scalar(
        select(func.count()).select_from(Recipient).where(_told(freezing), Recipient.wallet == "other")
    )
    if others:
        found["other"] = Counter({budget.RINGS: others})
    return {wallet: _whole(outcomes) for wallet, outcomes in found.items()}


def _whole(outcomes: Counter[str]) -> dict[str, int]:
    return {outcome: outcomes[outcome] for outcome in (budget.RINGS, budget.SILENT, budget.DEFERRED)}


async def _outcomes(session: AsyncSession, freezing: Freezing, wallet: str, at: datetime) -> Counter[str]:
    """One statement, whatever the audience: members are grouped by what rang on their passes."""
    rang = _rang_by_member(freezing, wallet, at)
    counts = [func.coalesce(column, 0) for column in (rang.c.first, rang.c.second, rang.c.third)]
    query = (
        select(*counts, func.count())
        .select_from(Recipient)
        .outerjoin(rang, rang.c.member_id == Recipient.member_id)
        .where(_told(freezing), Recipient.wallet.in_((wallet, "both")))
        .group_by(*counts)
    )
    rules = budget.rules_of(freezing.program)
    outcomes: Counter[str] = Counter()
    for *rings, members in await session.execute(query):
        earlier = [
            Rang(wallet, cause, purpose, at)
            for (cause, purpose), count in zip(_KINDS, rings, strict=True)
            for _ in range(count)
        ]
        decision = budget.decide(rules, earlier, wallet, _CAUSES[wallet], "campaign", now=at)
        outcomes[decision.outcome] += members
    return outcomes


def _told(freezing: Freezing) -> ColumnElement[bool]:
    return and_(
        Recipient.plan_id == freezing.plan_id, Recipient.route == "wallet", Recipient.state == "planned"
    )


def _rang_by_member(freezing: Freezing, wallet: str, at: datetime) -> Subquery:
    """By member, how often the pass that rang most did so, of each kind, in the day before."""

    def rang(cause: Cause, purpose: Purpose) -> ColumnElement[int]:
        return func.sum(case((and_(Ring.cause == cause, Ring.purpose == purpose), 1), else_=0))

    first, second, third = (rang(*kind) for kind in _KINDS)
    by_pass = (
        select(Ring.pass_id, first.label("first"), second.label("second"), third.label("third"))
        .where(
            Ring.program_id == freezing.program.id,
            Ring.wallet == wallet,
            Ring.at > at - budget.DAY,
        )
        .group_by(Ring.pass_id)
        .subquery()
    )
    return (
        select(
            Pass.member_id,
            func.max(by_pass.c.first).label("first"),
            func.max(by_pass.c.second).label("second"),
            func.max(by_pass.c.third).label("third"),
        )
        .join(by_pass, by_pass.c.pass_id == Pass.id)
        .group_by(Pass.member_id)
        .subquery()
    )
