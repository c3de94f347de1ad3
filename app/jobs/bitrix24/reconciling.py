"""Every night: all deals of a portal against our books, and every contact's fields against the cards.

Both ways: each won deal must stand in our books, and each purchase in our books must be a won deal there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from app.crm.bitrix24 import commands, facts
from app.crm.bitrix24 import source as bitrix24
from app.crm.events import Person, PurchaseChanged
from app.deals import comparing, portals, reconciliation, seen
from app.deals.reconciliation import Line
from app.inbox import purchases
from app.inbox.models import Purchase, Source
from app.inbox.reasons import RESTS, reason_of
from app.job_queue import JsonScalar, Retry, enqueue, kinds
from app.jobs.bitrix24 import asking, reading, showing
from app.members.models import Program
from app.points import amounts
from app.wiring import Services

log = structlog.get_logger(__name__)

RETRY = Retry(attempts_max=4, first_wait_seconds=60, longest_wait_seconds=1800)
PAGE = 50


@dataclass
class _Count:
    """What was found so far."""

    matched: int = 0
    lines: list[Line] = field(default_factory=list[Line])
    seen: set[int] = field(default_factory=set[int])


async def ask_for(services: Services) -> None:
    """Every night: have every portal compared."""
    async with services.sessions.begin() as session:
        for source in await showing.active_portals(session):
            args = {"source_id": source.id}
            await enqueue(session, kinds.BITRIX24_RECONCILE, args, priority=kinds.BULK)


async def reconcile(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Compare one portal with our books, correct what the rules allow, and keep a report."""
    source_id = str(args["source_id"])
    async with services.sessions() as session:
        source = await session.get_one(Source, source_id)
        program = await session.get_one(Program, source.program_id)
    count = _Count()
    if bitrix24.settings_of(source.settings).accrues:
        await _theirs(services, source, program, count)
        await _ours(services, source, program, count)
    await _fields(services, source, count)
    async with services.sessions.begin() as session:
        report = await reconciliation.keep(
            session, source, matched=count.matched, lines=count.lines, now=services.clock()
        )
    log.info(
        "bitrix24.reconciled",
        source=source.slug,
        matched=report.matched,
        corrected=report.corrected,
        disputed=report.disputed,
    )


async def _theirs(services: Services, source: Source, program: Program, count: _Count) -> None:
    """Each deal of theirs that changed since it counts must stand in our books as it is there."""
    settings = bitrix24.settings_of(source.settings)
    counts_from, after_id = portals.counts_from(source, settings.counts_from), 0
    while True:
        command = commands.changed_deals(counts_from, after_id=after_id)
        items = (await asking.call(services, source, command))["items"]
        page = [facts.deal(each, counts_from=counts_from) for each in items]
        count.seen.update(deal.id for deal in page)
        async with services.sessions() as session:
            books = await comparing.worth(session, source, [seen.reference_of(deal.id) for deal in page])
        differing = [
            deal.id
            for deal in page
            if comparing.expected(program, deal) != books.get(seen.reference_of(deal.id), 0)
        ]
        count.matched += len(page) - len(differing)
        await _correct(services, source, program, differing, count)
        if len(page) < PAGE:
            return
        after_id = page[-1].id


async def _ours(services: Services, source: Source, program: Program, count: _Count) -> None:
    """Each purchase in our books must be a deal there: one that was deleted is worth nothing."""
    after = ""
    while True:
        async with services.sessions() as session:
            page = await reconciliation.standing_purchases(session, source, after=after, limit=PAGE)
        ids = [int(purchase.reference.removeprefix("deal:")) for purchase in page]
        await _correct(services, source, program, [id_ for id_ in ids if id_ not in count.seen], count)
        if len(page) < PAGE:
            return
        after = page[-1].reference


async def _correct(
    services: Services, source: Source, program: Program, deal_ids: Sequence[int], count: _Count
) -> None:
    """Read the deals once more, with their contacts, and let our books follow."""
    for start in range(0, len(deal_ids), commands.DEALS_AT_ONCE):
        some = deal_ids[start : start + commands.DEALS_AT_ONCE]
        await reading.read_deals(services, source, some)
        for deal_id in some:
            line = await _follow(services, source, program, deal_id)
            if line is None:
                count.matched += 1  # a job was quicker
            else:
                count.lines.append(line)


async def _follow(services: Services, source: Source, program: Program, deal_id: int) -> Line | None:
    reference = seen.reference_of(deal_id)
    async with services.sessions() as session:
        deal = await seen.find(session, source.id, deal_id)
        before = await session.get(Purchase, (program.id, source.key, reference))
    assert deal is not None
    theirs = f"{deal.amount} {deal.currency}" if deal.outcome == "won" else deal.outcome
    ours = amounts.amount_text(before.amount_minor_units if before else 0, program.currency)
    wanted = PurchaseChanged(reference, Person(), "0") if deal.outcome == "deleted" else seen.purchase(deal)
    try:
        async with services.sessions.begin() as session:
            entry_id = await purchases.change(session, program, source, wanted, now=services.clock())
            after = await session.get(Purchase, (program.id, source.key, reference), populate_existing=True)
            points = (after.points if after else 0) - (before.points if before else 0)
            amount = after.amount_minor_units if after else 0
    except RESTS as error:
        return Line("disputed", reference, theirs, ours, 0, reason_of(error).code)
    if entry_id is None and amount == (before.amount_minor_units if before else 0):
        return None
    return Line("corrected", reference, theirs, ours, points)


async def _fields(services: Services, source: Source, count: _Count) -> None:
    """Each contact must show what its card is: somebody may have overwritten a field by hand."""
    names = bitrix24.settings_of(source.settings).fields
    after = ""
    while True:
        async with services.sessions() as session:
            page = await reconciliation.shown_cards(session, source, after=after, limit=PAGE)
        ids = [reading.contact_id(shown.contact) for shown, _ in page]
        batch = await asking.batch(services, source, commands.contacts(ids)) if ids else None
        wrong: list[str] = []
        for shown, balance in page:
            item = batch and batch.results.get(f"c{reading.contact_id(shown.contact)}")
            if not item:
                continue  # the contact is gone, or the portal busy: the next night looks again
            theirs, ours = str(item["item"].get(names.balance, "")), str(balance)
            if not names.balance or theirs == ours:
                count.matched += 1
                continue
            wrong.append(shown.contact)
            count.lines.append(Line("corrected", shown.contact, theirs, ours, 0))
        async with services.sessions.begin() as session:
            await reconciliation.show_again(session, source, wrong)
            if wrong:
                args = {"source_id": source.id}
                await enqueue(session, kinds.BITRIX24_SHOW, args, priority=kinds.BULK)
        if len(page) < PAGE:
            return
        after = page[-1][0].contact
