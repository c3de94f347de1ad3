"""`passbell reconcile`: prove that the books are right, or name the first row that is wrong."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from app.clock import utc_now
from app.db import open_read_engine
from app.points import reconcile as books
from app.settings import read_settings


def reconcile(
    as_json: Annotated[bool, typer.Option("--json", help="Print every mismatch as JSON.")] = False,
) -> None:
    """Check balances, sequences, lots, tiers and the outbox; exit with 1 when anything is wrong."""
    settings = read_settings()
    report = asyncio.run(_reconcile(settings.database_url))
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False))
    elif report.mismatches:
        count = len(report.mismatches)
        more = "at least " if count >= books.MISMATCHES_MAX else ""
        print(f"{report.mismatches[0]}\n{more}{count} mismatches in {report.accounts} accounts")
    else:
        print(f"0 mismatches in {report.accounts} accounts")
    if report.mismatches:
        raise typer.Exit(1)


async def _reconcile(database_url: str) -> books.Report:
    engine = open_read_engine(database_url, for_reports=True)
    try:
        return await books.reconcile(engine, now=utc_now())
    finally:
        await engine.dispose()
