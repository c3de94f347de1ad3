"""`passbell campaign`: plan, approve, run, stop and report, so that a script drafts and a person approves."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import approval, drafts, plan, results, segments, steering
from app.campaigns.conditions import InvalidCondition
from app.campaigns.definition import InvalidDefinition
from app.campaigns.models import Campaign, Plan
from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, fail, show, table
from app.clock import utc_now
from app.settings import read_settings
from app.wallets.templates import load_templates
from app.wallets.templates.fingerprint import fingerprints

campaign_app = typer.Typer(help="Plan campaigns, agree to plans, and see results.", no_args_is_help=True)

BY = "cli"
_REFUSALS = (
    InvalidCondition,
    InvalidDefinition,
    segments.UnknownSegment,
    drafts.UnknownCampaign,
    drafts.CampaignState,
    plan.EmptyAudience,
    plan.UnknownTemplate,
    approval.PlanChanged,
    approval.PlanExpired,
    approval.SecondPersonNeeded,
    approval.TemplateChanged,
    steering.UnknownVariant,
)
Which = Annotated[str, typer.Argument(help="cmp_...: the campaign.")]
Who = Annotated[str, typer.Option("--by", help="Who says so: a large plan needs two different ones.")]


@campaign_app.command("list")
def list_campaigns(program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the newest campaigns."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        query = select(Campaign).where(Campaign.program_id == owner.id)
        return [_shown(each) for each in await session.scalars(query.order_by(Campaign.id.desc()).limit(50))]

    found = carry_out(work)
    show(found, table(found, ("id", "name", "state", "done", "skipped", "reason")), as_json=as_json)


@campaign_app.command("plan")
def plan_command(
    draft: Annotated[str, typer.Argument(help="A JSON file with name and definition, or cmp_...")],
    by: Who = BY,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Say exactly what a campaign would do. Nothing is sent; the hash is what an approval names."""
    wanted = None if draft.startswith("cmp_") else _read(Path(draft))
    prints = _prints()

    async def work(session: AsyncSession) -> Plan:
        owner = await program_of(session, program)
        if wanted is None:
            campaign = await drafts.to_change(session, owner.id, draft, "draft", "planned")
        else:
            campaign = await drafts.create(
                session,
                owner.id,
                name=wanted["name"],
                definition=wanted["definition"],
                by=by,
                now=utc_now(),
            )
        return await plan.make(session, campaign, prints, by=by, now=utc_now())

    made = carry_out(work, *_REFUSALS)
    data = {
        "campaign": made.campaign_id,
        "hash": made.hash,
        "recipients": made.recipients,
        "expires_at": made.expires_at,
        "zones": made.zones,
        **made.totals,
    }
    show(data, _words(made), as_json=as_json)


@campaign_app.command("approve")
def approve(
    campaign: Which,
    plan_hash: Annotated[str, typer.Argument(help="The hash that `passbell campaign plan` printed.")],
    by: Who = BY,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Agree to exactly this plan; workers carry it out at its time."""
    prints = _prints()
    above = read_settings().campaign_second_person_above

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        found = await drafts.to_change(session, owner.id, campaign, "planned")
        await approval.approve(
            session,
            found,
            prints,
            plan_hash=plan_hash,
            by=by,
            second_person_above=above,
            now=utc_now(),
        )
        return _shown(found)

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


@campaign_app.command("run")
def run(campaign: Which, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Let a paused campaign go on, with those who are left."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        return _shown(await steering.resume(session, owner.id, campaign, now=utc_now()))

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


@campaign_app.command("pause")
def pause(campaign: Which, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Hold a campaign where it is."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        return _shown(await steering.pause(session, owner.id, campaign, now=utc_now()))

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


@campaign_app.command("stop")
def stop(
    campaign: Which,
    reason: Annotated[str, typer.Option("--reason", help="Is kept with the campaign.")] = "",
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """End a campaign for good, within five seconds. Who was told stays told."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        return _shown(await steering.stop(session, owner.id, campaign, reason=reason, now=utc_now()))

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


@campaign_app.command("report")
def report(campaign: Which, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Show what a campaign came to."""

    async def work(session: AsyncSession) -> results.Report:
        owner = await program_of(session, program)
        found = await drafts.by_id(session, owner.id, campaign)
        if found.plan_id is None:
            fail(f"campaign {campaign} has no plan: `passbell campaign plan` makes one")
        made = await session.get_one(Plan, found.plan_id)
        return await results.report(session, found, made, audience=None, now=utc_now())

    found = carry_out(work, *_REFUSALS)
    rows = [{"variant": name, **funnel} for name, funnel in found.groups["variant"].items()]
    words = table([*rows, {"variant": "total", **found.total}], ("variant", *results.STEPS))
    show(asdict(found), words, as_json=as_json)


def _read(path: Path) -> dict[str, Any]:
    try:
        wanted = json.loads(path.read_text("utf-8"))
        return {"name": str(wanted["name"])[:128], "definition": dict(wanted["definition"])}
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except (ValueError, KeyError, TypeError) as error:
        fail(f'{path}: write {{"name": "...", "definition": {{...}}}} ({error})')


def _prints() -> dict[str, str]:
    return fingerprints(load_templates(read_settings().pass_templates_dir))


def _shown(campaign: Campaign) -> dict[str, Any]:
    names = ("id", "name", "state", "done", "skipped", "reason", "started_at", "finished_at")
    return {name: getattr(campaign, name) for name in names}


def _tell(data: dict[str, Any], *, as_json: bool) -> None:
    show(
        data,
        f"{data['id']} is {data['state']}: {data['done']} done, {data['skipped']} skipped",
        as_json=as_json,
    )


def _words(made: Plan) -> str:
    totals = made.totals
    lines = [
        f"{made.campaign_id} would tell {totals['planned']} of {made.recipients} members",
        *(
            f"  {name}: {_counts(totals[f'by_{name}'])}"
            for name in ("wallet", "language", "route", "variant")
        ),
        f"  left out: {_counts(totals['left_out']) or 'nobody'}",
        f"  points: {totals['points']}   SMS: {totals['sms']['parts']} parts, {totals['sms']['cost'] or '-'}",
        *([f"  Google: {_google(totals['google'])}"] if "google" in totals else []),  # older plans have none
        f"  about {totals['duration_seconds']} s",
        *(f"  ! {each['where']}: {each['text']}" for each in totals["warnings"]),
        *(f"  ! {each['members']} of them are also in {each['name']}" for each in totals["conflicts"]),
        f"approve it with: passbell campaign approve {made.campaign_id} {made.hash}",
    ]
    return "\n".join(lines)


def _google(google: dict[str, Any]) -> str:
    if not google["cards"]:
        return "no card there"
    if google["route"] == "class":
        return f"one message to all {google['cards']} cards"
    return f"{google['cards']} cards one by one ({google['why']}), {google['calls']} calls"


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items())
