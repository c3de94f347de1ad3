"""Looking after what lost webhooks missed: deals changed since the last look that our books do not match.

The books are compared, not the events: it does not matter what was lost, doubled or mixed up. What does not
match is put into the inbox as if it had been posted, and takes the usual way, with its reasons and replays.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.bitrix24 import commands, facts
from app.crm.bitrix24 import source as bitrix24
from app.crm.bitrix24.facts import Deal
from app.crm.bitrix24.rest import Command
from app.db import locked
from app.deals import comparing, portals
from app.deals.models import Portal
from app.inbox.models import Source
from app.inbox.receive import Arrived, keep
from app.job_queue import JsonScalar, Retry, enqueue, kinds
from app.jobs.bitrix24 import asking, showing
from app.members.models import Program
from app.wiring import Services

log = structlog.get_logger(__name__)

RETRY = Retry(attempts_max=6, first_wait_seconds=5, longest_wait_seconds=120)
# Read again each time: what changed in the second of the last look, or while it went on.
OVERLAP = timedelta(minutes=2)
PAGE = 50


async def ask_for(services: Services) -> None:
    """Every five minutes: have every portal's changed deals looked at."""
    async with services.sessions.begin() as session:
        for source in await showing.active_portals(session):
            await enqueue(session, kinds.BITRIX24_POLL, {"source_id": source.id}, priority=kinds.BULK)


async def poll(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Look at what changed in one portal. Looking twice finds nothing the second time."""
    source_id = str(args["source_id"])
    async with services.sessions.begin() as session:
        source = await session.get_one(Source, source_id)
        portal = await portals.portal_to_change(session, source)
        since = (portal.read_until or source.created_at) - OVERLAP
    settings = bitrix24.settings_of(source.settings)
    if source.state != "active" or not settings.accrues:
        return
    counts_from = portals.counts_from(source, settings.counts_from)
    began, missed, after_id = None, 0, 0
    while True:
        page = {"now": Command("server.time", {}), "deals": commands.changed_deals(since, after_id=after_id)}
        batch = await asking.batch(services, source, page)
        for failure in batch.errors.values():
            raise failure
        began = began or datetime.fromisoformat(batch.results["now"])
        deals = [facts.deal(each, counts_from=counts_from) for each in batch.results["deals"]["items"]]
        missed += await _keep_missed(services, source, deals)
        if len(deals) < PAGE:
            break
        after_id = deals[-1].id
    async with services.sessions.begin() as session:
        portal = await locked(session, select(Portal).where(Portal.source_id == source_id))
        portal.read_until = began
    if missed:
        log.info("bitrix24.missed", source=source.slug, deals=missed)


async def _keep_missed(services: Services, source: Source, deals: Sequence[Deal]) -> int:
    kept = 0
    async with services.sessions.begin() as session:
        program = await session.get_one(Program, source.program_id)
        for deal in await comparing.unmatched(session, program, source, deals):
            kept += await _keep(session, services, source, deal)
    return kept


async def _keep(session: AsyncSession, services: Services, source: Source, deal: Deal) -> bool:
    """Put a deal into the inbox, once for each state it was seen in."""
    moment = deal.updated_at.isoformat() if deal.updated_at else ""
    seen_as = ":".join((moment, deal.outcome, deal.amount, str(deal.contact_id)))
    fields = {"event": "ONCRMDEALUPDATE", "data[FIELDS][ID]": deal.id, "found": "poll"}
    return (
        await keep(
            session,
            Arrived(
                program_id=source.program_id,
                source_id=source.id,
                event_id=f"oncrmdealupdate:{deal.id}:{seen_as}"[:128],
                url="",
                headers={"content-type": "application/x-www-form-urlencoded"},
                body=urlencode(fields).encode(),
                at=services.clock(),
            ),
        )
        is not None
    )
