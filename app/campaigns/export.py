"""A plan's recipients one by one: the text each reads, what changes on the pass, and what became of it."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import results
from app.campaigns.definition import Definition, parse
from app.campaigns.models import Campaign, Plan, Recipient
from app.campaigns.wording import render
from app.db import Sessions
from app.members.models import Account, Program
from app.passes.models import Pass
from app.spreadsheets import csv_line

PAGE = 1000
COLUMNS = (
    *("position", "member_id", "language", "wallet", "route", "variant", "state", "reason"),
    *("message_before", "message_after", "points_before", "points_after", "version", "done_at"),
)
Line = dict[str, str | int | None]


async def lines(
    session: AsyncSession, program: Program, campaign: Campaign, plan: Plan, *, after: int, limit: int = PAGE
) -> list[Line]:
    """Some recipients by position. Before they are done, what would be; after it, what was."""
    definition = parse(plan.definition)
    query = (
        select(Recipient, Account.balance)
        .join(Account, Account.id == Recipient.account_id)
        .where(Recipient.plan_id == plan.id, Recipient.position > after)
        .order_by(Recipient.position)
        .limit(limit)
    )
    rows = (await session.execute(query)).all()
    shown = await _messages(session, [row.Recipient.member_id for row in rows])
    return [
        _line(row.Recipient, row.balance, shown.get(row.Recipient.member_id), program, campaign, definition)
        for row in rows
    ]


async def _messages(session: AsyncSession, member_ids: Sequence[str]) -> dict[str, str]:
    """What the active passes of these members show as news now; of several, the newest pass."""
    query = select(Pass.member_id, Pass.message).where(Pass.member_id.in_(member_ids), Pass.state == "active")
    return {row.member_id: row.message for row in await session.execute(query.order_by(Pass.id))}


def _line(
    recipient: Recipient,
    balance: int,
    shown: str | None,
    program: Program,
    campaign: Campaign,
    definition: Definition,
) -> Line:
    text, points = _text_and_points(recipient, program, campaign, definition)
    waits = recipient.state in ("planned", "held")
    return {
        "position": recipient.position,
        "member_id": recipient.member_id,
        "language": recipient.language,
        "wallet": recipient.wallet,
        "route": recipient.route,
        "variant": recipient.variant,
        "state": recipient.state,
        "reason": recipient.reason,
        "message_before": shown if waits and recipient.route == "wallet" else None,
        "message_after": text,
        "points_before": balance if waits else None,
        "points_after": balance + points if waits else None,
        "version": recipient.version,
        "done_at": None if recipient.done_at is None else _time(recipient.done_at),
    }


def _text_and_points(
    recipient: Recipient, program: Program, campaign: Campaign, definition: Definition
) -> tuple[str | None, int]:
    """What a recipient reads and gets; the rest of a test nothing until there is a winner."""
    variant = campaign.winner if recipient.variant == "rest" else recipient.variant
    if recipient.state == "skipped" or variant is None or variant == "hold_out":
        return None, 0
    points = definition.points_of(variant)
    if recipient.route in ("nobody", "points"):
        return None, points
    source = definition.texts_on(recipient.route, variant)[recipient.language]
    return render(source, recipient.facts, program, recipient.language, bonus=points), points


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def as_csv(sessions: Sessions, campaign_id: str) -> AsyncGenerator[str]:
    """All of them as CSV, page by page: no transaction stays open while somebody downloads a million rows."""
    yield csv_line(COLUMNS)
    after = 0
    while True:
        async with sessions() as session:
            campaign = await session.get_one(Campaign, campaign_id)
            if campaign.plan_id is None:
                return
            plan = await session.get_one(Plan, campaign.plan_id)
            program = await session.get_one(Program, campaign.program_id)
            found = await lines(session, program, campaign, plan, after=after)
        if found:
            yield "".join(csv_line([line[name] for name in COLUMNS]) for line in found)
            after = int(found[-1]["position"] or 0)
        if len(found) < PAGE:
            return


RESULT_COLUMNS = (
    *("position", "member_id", "variant", "wallet", "language", "route", "state", "reason"),
    *results.STEPS[2:],
)


async def results_as_csv(sessions: Sessions, campaign_id: str, *, now: datetime) -> AsyncGenerator[str]:
    """What became of each recipient: 1 for every step that the evidence shows."""
    yield csv_line(RESULT_COLUMNS)
    after = 0
    while True:
        async with sessions() as session:
            campaign = await session.get_one(Campaign, campaign_id)
            plan = await session.get_one(Plan, campaign.plan_id)
            found = await results.lines(session, campaign, plan, after=after, limit=PAGE, now=now)
        if found:
            yield "".join(csv_line([line[name] for name in RESULT_COLUMNS]) for line in found)
        after += PAGE
        if after >= plan.recipients:
            return
