"""`passbell rule`: campaigns that start by themselves, to each member whose time it is."""

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import rules, segments
from app.campaigns.conditions import InvalidCondition
from app.campaigns.definition import InvalidDefinition
from app.campaigns.models import Rule
from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, show, table
from app.cli.segments import read_json
from app.clock import utc_now

rule_app = typer.Typer(help="Campaigns that start by themselves.", no_args_is_help=True)

_REFUSALS = (InvalidCondition, InvalidDefinition, rules.UnknownRule, segments.UnknownSegment)
Which = Annotated[str, typer.Argument(help="rul_...: the rule.")]


@rule_app.command("list")
def list_rules(program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the rules, oldest first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        query = select(Rule).where(Rule.program_id == owner.id).order_by(Rule.id)
        return [_shown(each) for each in await session.scalars(query)]

    rows = carry_out(work)
    show(rows, table(rows, ("id", "name", "is_active", "activated_by")), as_json=as_json)


@rule_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    definition: Annotated[Path, typer.Argument(help="JSON: trigger, condition, period_days, campaign.")],
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Add a rule; it starts nothing until it is activated."""
    given = read_json(definition)

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        return _shown(await rules.create(session, owner.id, name=name, definition=given, now=utc_now()))

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


@rule_app.command("activate")
def activate(
    rule: Which,
    by: Annotated[str, typer.Option("--by", help="Who agrees to every campaign it will start.")] = "cli",
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Let a rule work from now on. Of whom it was true before, it starts nothing."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        found = await rules.by_id(session, owner.id, rule)
        await rules.activate(session, found, by=by, now=utc_now())
        return _shown(found)

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


@rule_app.command("deactivate")
def deactivate(rule: Which, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Let a rule rest; campaigns it has started go on."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        found = await rules.by_id(session, owner.id, rule)
        found.is_active = False
        await session.flush()
        return _shown(found)

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


def _tell(row: dict[str, Any], *, as_json: bool) -> None:
    show(row, f"{row['id']} ({row['name']}) {'works' if row['is_active'] else 'rests'}", as_json=as_json)


def _shown(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "is_active": rule.is_active,
        "activated_by": rule.activated_by,
        "definition": rule.definition,
    }
