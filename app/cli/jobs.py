"""`passbell jobs`: what is waiting, what gave up, and trying that again."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app import job_queue
from app.cli.database import carry_out
from app.cli.output import AsJson, show, table

jobs_app = typer.Typer(help="Look at the work, and put held jobs back.", no_args_is_help=True)


@jobs_app.command("stats")
def stats(as_json: AsJson = False) -> None:
    """How many jobs of each kind are queued, running or held."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        return [asdict(each) for each in await job_queue.stats(session)]

    found = carry_out(work)
    show(found, table(found, ("kind", "state", "count", "oldest_seconds")), as_json=as_json)


@jobs_app.command("held")
def held(as_json: AsJson = False) -> None:
    """The jobs that gave up, with the reason. Mend it, then requeue them."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        return [asdict(each) for each in await job_queue.held(session)]

    found = carry_out(work)
    show(found, table(found, ("id", "kind", "attempts", "held_at", "error")), as_json=as_json)


@jobs_app.command("requeue")
def requeue(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Ids as `held` prints them; none: all held.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try held jobs again. A failed message is sent again by POST /api/v1/messages/{id}/resend instead."""

    async def work(session: AsyncSession) -> int:
        wanted = ids or [each.id for each in await job_queue.held(session, limit=10_000)]
        return await job_queue.requeue(session, wanted)

    count = carry_out(work)
    show({"requeued": count}, f"{count} jobs put back", as_json=as_json)
