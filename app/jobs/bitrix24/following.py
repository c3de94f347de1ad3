"""After a delivery was handled or put to rest, the portal hears of it.

A robot gets its values, a deal's story its line, and the manager responsible what went wrong or who is new.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm import Unreadable
from app.crm.bitrix24 import commands, deliveries
from app.crm.bitrix24 import source as bitrix24
from app.crm.bitrix24.deliveries import Changed, Posted, RobotRan, StageReached
from app.crm.bitrix24.rest import Command
from app.crm.events import Person
from app.deals import cards, seen
from app.deals.models import Deal
from app.inbox import reasons
from app.inbox.handle import Received
from app.inbox.models import InboundEvent, Source
from app.inbox.reasons import CannotApply, reason_of
from app.job_queue import JsonScalar, Retry, enqueue, kinds
from app.jobs.bitrix24 import asking, reading, showing
from app.members.models import ExternalId, Member, Program
from app.points.models import Entry
from app.wiring import Services

log = structlog.get_logger(__name__)

# A robot holds up its deal until it is answered; after half a day nobody waits for a line any more.
RETRY = Retry(attempts_max=30, first_wait_seconds=2, longest_wait_seconds=1800)


async def order(session: AsyncSession, received: Received, did_something: bool) -> None:
    """Have the portal told, in the transaction that marks a delivery handled or rested.

    The secrets that came with the delivery have served their purpose: the inbox keeps it without them.
    """
    event = received.event
    without = deliveries.without_secrets(event.body)
    await session.execute(update(InboundEvent).where(InboundEvent.id == event.id).values(body=without))
    try:
        posted = deliveries.read(event.body)
    except Unreadable:
        return
    settings = bitrix24.settings_of(received.source.settings)
    is_worth_it = did_something and (settings.notifies or settings.comments)
    if isinstance(posted, RobotRan) or (isinstance(posted, Changed | StageReached) and is_worth_it):
        await enqueue(session, kinds.BITRIX24_FOLLOW, {"event_id": event.id}, priority=kinds.MESSAGE)


@dataclass(frozen=True)
class _Case:
    """A delivery and everything around it, as one transaction saw it."""

    event: InboundEvent
    source: Source
    program: Program
    settings: bitrix24.Bitrix24Settings
    posted: Posted
    deal: Deal | None


async def follow(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Tell the portal what became of one delivery. Repeating may only repeat a line in a deal's story."""
    event_id = str(args["event_id"])
    async with services.sessions.begin() as session:
        case = await _case(session, event_id)
        wanted = await _commands(services, session, case) if case else {}
    if case is None:
        return
    if isinstance(case.posted, Changed) and case.posted.kind == "contact" and case.settings.notifies:
        wanted |= await _of_contact(services, case, case.posted)
    if wanted:
        batch = await asking.batch(services, case.source, wanted)
        for name, failure in batch.errors.items():
            log.warning("bitrix24.not_told", event=event_id, what=name, reason=str(failure))
    await showing.show(services, {"source_id": case.source.id})


async def _case(session: AsyncSession, event_id: str) -> _Case | None:
    event = await session.get(InboundEvent, event_id)
    if event is None or event.state == "received":  # forgotten, or being replayed: its end orders another
        return None
    posted = deliveries.read(event.body)
    if posted is None:
        return None
    source = await session.get_one(Source, event.source_id)
    program = await session.get_one(Program, event.program_id)
    deal = None
    if isinstance(posted, Changed | RobotRan | StageReached) and posted.kind == "deal":
        deal = await seen.find(session, source.id, posted.id)
    return _Case(event, source, program, bitrix24.settings_of(source.settings), posted, deal)


async def _commands(services: Services, session: AsyncSession, case: _Case) -> dict[str, Command]:
    found: dict[str, Command] = {}
    language = case.program.language
    problem = ""
    if case.event.state == "rested":
        problem = reasons.text_of(services.texts, language, case.event.reason or "", case.event.details)
    if isinstance(case.posted, RobotRan):
        values = await _values(services, session, case, problem)
        found["robot"] = commands.answer_robot(case.posted.event_token, values, problem or "Passbell: OK")
    elif case.deal is not None and problem and case.settings.notifies and case.deal.assigned_by:
        text = services.texts.get(language, "crm.problem", title=case.deal.title, problem=problem)
        tag = f"passbell:deal:{case.deal.deal_id}"
        found["notice"] = commands.notify(case.deal.assigned_by, text, tag=tag)
    if case.deal is not None and not problem and case.settings.comments:
        line = await _line(services, session, case)
        if line:
            found["line"] = commands.timeline("deal", case.deal.deal_id, line)
    return found


async def _line(services: Services, session: AsyncSession, case: _Case) -> str | None:
    """What the delivery brought, as a line of the deal's story."""
    query = select(Entry).where(Entry.id.in_(case.event.details.get("did", ()))).order_by(Entry.sequence)
    entries = (await session.scalars(query)).all()
    if not entries:
        return None
    points, balance = sum(each.points for each in entries), entries[-1].balance_after
    return services.texts.get(case.program.language, "crm.line", points=f"{points:+d}", balance=str(balance))


async def _of_contact(services: Services, case: _Case, posted: Changed) -> dict[str, Command]:
    """Tell the manager responsible of a new member."""
    async with services.sessions.begin() as session:
        query = (
            select(Member)
            .join(ExternalId, ExternalId.member_id == Member.id)
            .where(
                ExternalId.program_id == case.program.id,
                ExternalId.source == case.source.key,
                ExternalId.external_id == reading.contact_reference(posted.id),
            )
        )
        member = await session.scalar(query)
    is_new = member is not None and member.created_at >= case.event.received_at
    if case.event.state != "rested" and not is_new:
        return {}
    contact = await reading.contact_of(services, case.source, posted.id)
    if contact is None or not contact.assigned_by:
        return {}
    language = case.program.language
    if member is not None and is_new:
        text = services.texts.get(
            language, "crm.new_member", name=contact.name, program=case.program.name, card=member.card_number
        )
    else:
        problem = reasons.text_of(services.texts, language, case.event.reason or "", case.event.details)
        text = services.texts.get(language, "crm.problem", title=contact.name, problem=problem)
    return {"notice": commands.notify(contact.assigned_by, text, tag=f"passbell:contact:{contact.id}")}


async def _values(services: Services, session: AsyncSession, case: _Case, problem: str) -> dict[str, object]:
    """What a robot gives back: the card as it is now."""
    assert isinstance(case.posted, RobotRan)
    person = (
        seen.person(case.deal) if case.deal else Person(contact=reading.contact_reference(case.posted.id))
    )
    try:
        card = await cards.find(session, case.program, case.source, person)
    except CannotApply as error:
        reason = reason_of(error)
        problem = problem or reasons.text_of(
            services.texts, case.program.language, reason.code, reason.values
        )
        card = None
    if card is None:
        return {
            "has_card": "N",
            "card_number": "",
            "balance": 0,
            "tier": "",
            "redeemable": 0,
            "error": problem,
        }
    return {
        "has_card": "Y",
        "card_number": card.member.card_number if card.member else "",
        "balance": card.balance,
        "tier": card.tier_name(case.program.language),
        "redeemable": await _redeemable(session, case, card),
        "error": problem,
    }


async def _redeemable(session: AsyncSession, case: _Case, card: cards.Card) -> int:
    if case.deal is None:
        return card.balance
    return await cards.redeemable_in(
        session,
        case.program,
        case.source,
        card,
        reference=seen.reference_of(case.deal.deal_id),
        amount=case.deal.amount,
        currency=case.deal.currency,
        percent_max=case.settings.redeem_percent_max,
    )
