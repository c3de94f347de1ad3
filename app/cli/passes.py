"""`passbell pass`: the story of a pass, and taking it out of use."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import carry_out
from app.cli.output import AsJson, show, table
from app.clock import utc_now
from app.passes import issue, story
from app.passes.issue import UnknownPass
from app.passes.models import Pass
from app.settings import read_settings
from app.wallets.templates import load_templates

pass_app = typer.Typer(help="Ask why a phone is silent; void or replace a pass.", no_args_is_help=True)

WhichPass = Annotated[str, typer.Argument(help="pas_..., or its serial number.")]
Why = Annotated[str, typer.Option("--reason", help="Stands in the pass's story.")]


@pass_app.command("trace")
def trace(which: WhichPass, as_json: AsJson = False) -> None:
    """Tell the story of a pass, and why its phone is silent."""
    templates = load_templates(read_settings().pass_templates_dir)

    async def work(session: AsyncSession) -> dict[str, Any]:
        found = await _pass(session, which)
        told = await story.tell(session, templates, found.program_id, found.id, now=utc_now())
        return {
            "pass": found.id,
            "state": found.state,
            "version": found.version,
            "diagnosis": [{"code": each.code, "text": each.text} for each in told.findings],
            "events": [
                {"at": each.at, "kind": each.kind, "version": each.version, "details": each.details}
                for each in told.events
            ],
        }

    data = carry_out(work, UnknownPass)
    lines = [
        {
            "at": event["at"],
            "event": event["kind"],
            "version": event["version"],
            "details": _flat(event["details"]),
        }
        for event in data["events"]
    ]
    words = "\n".join(
        (
            f"{data['pass']}  {data['state']}  version {data['version']}",
            "",
            *(each["text"] for each in data["diagnosis"]),
            "",
            table(lines, ("at", "event", "version", "details")),
        )
    )
    show(data, words, as_json=as_json)


@pass_app.command("void")
def void(which: WhichPass, reason: Why = "", as_json: AsJson = False) -> None:
    """Take a pass out of use: it turns grey on its phones."""
    _change(
        which,
        lambda session, found: issue.set_state(
            session, found.program_id, found.id, "voided", reason=reason, now=utc_now()
        ),
        as_json=as_json,
    )


@pass_app.command("restore")
def restore(which: WhichPass, reason: Why = "", as_json: AsJson = False) -> None:
    """Put a voided pass back in use."""
    _change(
        which,
        lambda session, found: issue.set_state(
            session, found.program_id, found.id, "active", reason=reason, now=utc_now()
        ),
        as_json=as_json,
    )


@pass_app.command("reissue")
def reissue(which: WhichPass, reason: Why = "", as_json: AsJson = False) -> None:
    """Void a pass and issue another with new secrets."""
    _change(
        which,
        lambda session, found: issue.reissue(
            session, found.program_id, found.id, reason=reason, now=utc_now()
        ),
        as_json=as_json,
    )


def _change(which: str, change: Callable[[AsyncSession, Pass], Awaitable[Pass]], *, as_json: bool) -> None:
    async def work(session: AsyncSession) -> Pass:
        return await change(session, await _pass(session, which))

    found = carry_out(work, UnknownPass)
    data = {
        "pass": found.id,
        "serial_number": found.serial_number,
        "state": found.state,
        "version": found.version,
    }
    show(data, f"{found.id} is {found.state}, version {found.version}", as_json=as_json)


async def _pass(session: AsyncSession, which: str) -> Pass:
    found = await session.scalar(select(Pass).where(or_(Pass.id == which, Pass.serial_number == which)))
    if found is None:
        raise UnknownPass(f"no pass {which}")
    return found


def _flat(details: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in details.items() if value is not None)
