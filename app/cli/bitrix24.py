"""`passbell bitrix24`: connect a portal, look for what it lost, and read the night's comparisons."""

from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, show, table
from app.crm.bitrix24 import source as bitrix24
from app.db import locked
from app.deals import reconciliation
from app.deals.models import Reconciliation
from app.inbox import sources
from app.inbox.models import Source
from app.job_queue import enqueue, kinds
from app.settings import read_settings
from app.wiring import load_secret_key

bitrix24_app = typer.Typer(help="Work with a Bitrix24 portal.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="src_..., or its slug.")]


@bitrix24_app.command("connect")
def connect(
    which: Slug,
    webhook_url: Annotated[
        str | None,
        typer.Option(help="Of an incoming webhook: https://school.bitrix24.ru/rest/1/.../", prompt=False),
    ] = None,
    client_secret: Annotated[str | None, typer.Option(help="Of the local application.")] = None,
    program: ProgramOption = None,
) -> None:
    """Keep how we may ask the portal, sealed, and make the portal ready: fields, robots, the deal's tab."""
    key = load_secret_key(read_settings())

    async def work(session: AsyncSession) -> Source:
        source = await _portal(session, program, which)
        mine = await locked(session, select(Source).where(Source.id == source.id))
        given = {bitrix24.WEBHOOK_URL: webhook_url, bitrix24.CLIENT_SECRET: client_secret}
        kept = sources.read_secrets(key, mine) | {name: value for name, value in given.items() if value}
        if webhook_url and not webhook_url.endswith("/"):
            kept[bitrix24.WEBHOOK_URL] = f"{webhook_url}/"
        sources.write_secrets(key, mine, kept)
        await enqueue(session, kinds.BITRIX24_SET_UP, {"source_id": mine.id})
        return mine

    source = carry_out(work, sources.UnknownSource, sources.BadSource)
    typer.echo(f"{source.slug}: connected; the worker sets the portal up")


@bitrix24_app.command("poll")
def poll(which: Slug, program: ProgramOption = None) -> None:
    """Look now for deals whose webhooks were lost; otherwise it happens every five minutes."""
    _order(kinds.BITRIX24_POLL, which, program)


@bitrix24_app.command("reconcile")
def reconcile(which: Slug, program: ProgramOption = None) -> None:
    """Compare all deals and fields with the books now; otherwise it happens every night."""
    _order(kinds.BITRIX24_RECONCILE, which, program)


@bitrix24_app.command("reports")
def reports(which: Slug, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the comparisons, newest first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        source = await _portal(session, program, which)
        return [_numbers(each) for each in await reconciliation.reports(session, source)]

    rows = carry_out(work, sources.UnknownSource, sources.BadSource)
    show(rows, table(rows, ("id", "at", "matched", "corrected", "disputed")), as_json=as_json)


@bitrix24_app.command("report")
def report(
    which: Slug,
    report_id: Annotated[str, typer.Argument(help="rec_..., as `reports` lists them.")],
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Print one comparison's lines, as CSV or as JSON."""

    async def work(session: AsyncSession) -> Reconciliation:
        source = await _portal(session, program, which)
        return await reconciliation.report_by_id(session, source, report_id)

    found = carry_out(work, sources.UnknownSource, sources.BadSource, reconciliation.UnknownReconciliation)
    show(_numbers(found) | {"lines": found.lines}, reconciliation.as_csv(found), as_json=as_json)


def _order(kind: str, which: str, program: str | None) -> None:
    async def work(session: AsyncSession) -> str:
        source = await _portal(session, program, which)
        await enqueue(session, kind, {"source_id": source.id}, priority=kinds.LIVE)
        return source.slug

    typer.echo(f"{carry_out(work, sources.UnknownSource, sources.BadSource)}: ordered; the worker does it")


async def _portal(session: AsyncSession, program: str | None, which: str) -> Source:
    owner = await program_of(session, program)
    source = await sources.source_by_id(session, owner.id, which)
    if source.kind != bitrix24.KIND:
        raise sources.BadSource(f"{source.slug} is a source of the kind {source.kind}, not {bitrix24.KIND}")
    return source


def _numbers(report: Reconciliation) -> dict[str, Any]:
    return {
        "id": report.id,
        "at": report.at.isoformat(),
        "matched": report.matched,
        "corrected": report.corrected,
        "disputed": report.disputed,
    }
