"""From what a portal posted to what happened: the rest is read by REST, much of it at once.

A portal posts every edit, and to ask for each alone would take its whole allowance. So whoever asks first
reads up to 25 deals that others wait for too, and they find them read.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm import Delivery
from app.crm.bitrix24 import commands, deliveries, facts, robots
from app.crm.bitrix24 import source as bitrix24
from app.crm.bitrix24.deliveries import Changed, Installed, RobotRan, StageReached, TextWanted
from app.crm.bitrix24.rest import Batch, NoJson, Refused
from app.crm.events import CardWanted, ContactChanged, Event, Person, PurchaseChanged
from app.db import locked
from app.deals import portals, seen
from app.deals.models import Deal
from app.inbox import sources
from app.inbox.handle import Received
from app.inbox.models import Source
from app.inbox.reasons import CannotApply
from app.job_queue import enqueue, kinds
from app.jobs.bitrix24 import asking, texts
from app.jobs.bitrix24.asking import CannotAsk
from app.wiring import Services

PAGES_TRIED = 3  # web pages instead of answers, before a person should look
_ISSUE = "issue"  # of /hooks/{source}/{token}?do=issue


async def read(services: Services, received: Received, delivery: Delivery) -> Sequence[Event]:
    """What happened, in events of ours.

    Raises TemporaryFailure, and what makes a delivery rest.
    """
    try:
        return await _read(services, received, delivery)
    except NoJson as error:
        if received.event.attempts < PAGES_TRIED:
            raise
        raise CannotApply("portal_no_answer") from error
    except CannotAsk as error:
        raise CannotApply(error.code, **error.values) from error
    except robots.UnknownRobot as error:
        raise CannotApply("unreadable", what=f"robot {error}") from error


async def _read(services: Services, received: Received, delivery: Delivery) -> Sequence[Event]:
    source = received.source
    settings = bitrix24.settings_of(source.settings)
    await _keep_tokens(services, source, delivery)
    posted = deliveries.read(delivery.body)
    if isinstance(posted, Changed):
        return await _changed(services, received, settings, posted)
    if isinstance(posted, StageReached):
        return await _stage_reached(services, received, settings, posted, delivery)
    if isinstance(posted, RobotRan):
        deal, person = await _document(services, received, posted.kind, posted.id)
        return robots.events(posted, deal and seen.purchase(deal), person, settings)
    if isinstance(posted, TextWanted):
        await texts.deliver(services, received, posted)
    if isinstance(posted, Installed):
        async with services.sessions.begin() as session:
            await _keep_application_token(session, services, source, delivery)
            await enqueue(session, kinds.BITRIX24_SET_UP, {"source_id": source.id}, priority=kinds.LIVE)
    return ()


async def _keep_tokens(services: Services, source: Source, delivery: Delivery) -> None:
    tokens = deliveries.tokens(delivery.body)
    if tokens is None:
        return
    posted_at = deliveries.posted_at(delivery) or delivery.received_at
    async with services.sessions.begin() as session:
        await portals.keep_tokens(
            session,
            services.secret_key,
            source,
            portals.Tokens(tokens.access, tokens.refresh),
            until=posted_at + timedelta(seconds=tokens.seconds),
        )


async def _keep_application_token(
    session: AsyncSession, services: Services, source: Source, delivery: Delivery
) -> None:
    """The token that proves the tab's requests is told at installation, and nowhere else."""
    mine = await locked(session, select(Source).where(Source.id == source.id))
    kept = sources.read_secrets(services.secret_key, mine)
    kept[bitrix24.APPLICATION_TOKEN] = deliveries.application_token(delivery)
    sources.write_secrets(services.secret_key, mine, kept)


async def _changed(
    services: Services, received: Received, settings: bitrix24.Bitrix24Settings, posted: Changed
) -> Sequence[Event]:
    if posted.kind == "deal":
        return await _deal_changed(services, received, settings, posted)
    if posted.what == "DELETE":
        return ()
    contact = await contact_of(services, received.source, posted.id)
    if contact is None:
        return ()
    if posted.what == "ADD" and _gets_card(contact, settings):
        return [CardWanted(person_of(contact), str(settings.opening_points))]
    return [ContactChanged(person_of(contact))]


async def _deal_changed(
    services: Services, received: Received, settings: bitrix24.Bitrix24Settings, posted: Changed
) -> Sequence[Event]:
    if not settings.accrues:
        return ()
    if posted.what == "DELETE":
        return [PurchaseChanged(seen.reference_of(posted.id), Person(), "0")]
    return [seen.purchase(await deal_of(services, received, posted.id))]


def _gets_card(contact: facts.Contact, settings: bitrix24.Bitrix24Settings) -> bool:
    if settings.cards_for == "forms":
        return contact.webform_id is not None and contact.webform_id in (
            settings.forms or (contact.webform_id,)
        )
    return settings.cards_for == "everybody"


async def _stage_reached(
    services: Services,
    received: Received,
    settings: bitrix24.Bitrix24Settings,
    posted: StageReached,
    delivery: Delivery,
) -> Sequence[Event]:
    deal, person = await _document(services, received, posted.kind, posted.id)
    if delivery.query("do") == _ISSUE or deal is None:
        return [CardWanted(person, delivery.query("opening_points") or str(settings.opening_points))]
    return [seen.purchase(deal)]


async def _document(
    services: Services, received: Received, kind: deliveries.Kind, id_: int
) -> tuple[Deal | None, Person]:
    """The deal, where it is one, and the person it is with. Raises CannotApply."""
    if kind == "deal":
        deal = await deal_of(services, received, id_)
        if deal.contact is None:
            raise CannotApply("no_person")
        return deal, seen.person(deal)
    contact = await contact_of(services, received.source, id_)
    if contact is None:
        raise CannotApply("no_person")
    return None, person_of(contact)


async def contact_of(services: Services, source: Source, contact_id: int) -> facts.Contact | None:
    """The contact as it stands; None where it is gone."""
    batch = await asking.batch(services, source, commands.contacts([contact_id]))
    found = _item(batch, f"c{contact_id}")
    return None if found is None else facts.contact(found)


async def deal_of(services: Services, received: Received, deal_id: int) -> Deal:
    """The deal as it stood after the delivery came: as somebody read it meanwhile, or read now."""
    source, event = received.source, received.event
    # A second attempt, and a replay, look again.
    since = event.received_at if event.attempts == 1 else services.clock()
    found = await _seen(services, source, deal_id, since)
    if found is None:
        async with services.bitrix24.alone(source.id):
            found = await _seen(services, source, deal_id, since)  # whoever was here before may have read it
            if found is None:
                found = await _read_with_others(services, source, deal_id)
    return found


async def _seen(services: Services, source: Source, deal_id: int, since: datetime) -> Deal | None:
    async with services.read_sessions() as session:
        return await seen.find(session, source.id, deal_id, not_before=since)


async def _read_with_others(services: Services, source: Source, deal_id: int) -> Deal:
    async with services.read_sessions() as session:
        keys = await seen.awaited(session, source, prefix="oncrmdeal", limit=200)
    await read_deals(services, source, _together(deal_id, keys))
    async with services.read_sessions() as session:
        found = await seen.find(session, source.id, deal_id)
    assert found is not None
    return found


def _together(deal_id: int, keys: Sequence[str]) -> list[int]:
    """The deal and others that are waited for, as many as one request reads."""
    waiting = (int(part) for part in (key.split(":")[1] for key in keys) if part.isdecimal())
    return list(dict.fromkeys([deal_id, *waiting]))[: commands.DEALS_AT_ONCE]


async def read_deals(services: Services, source: Source, deal_ids: Sequence[int]) -> None:
    """Read so many deals with their contacts in one request, and note what they are."""
    read_at = services.clock()
    batch = await asking.batch(services, source, commands.deals_with_contacts(deal_ids))
    rows = [_row(batch, source, deal_id, read_at) for deal_id in deal_ids]
    async with services.sessions.begin() as session:
        await seen.note(session, rows)


def _row(batch: Batch, source: Source, deal_id: int, read_at: datetime) -> dict[str, Any]:
    found = _item(batch, f"d{deal_id}")
    shared = {"source_id": source.id, "deal_id": deal_id, "program_id": source.program_id, "read_at": read_at}
    if found is None:
        return shared | {
            "title": "",
            "amount": "0",
            "currency": "",
            "outcome": "deleted",
            "contact": None,
            "person": {},
            "assigned_by": None,
            "updated_at": None,
        }
    settings = bitrix24.settings_of(source.settings)
    deal = facts.deal(found, counts_from=portals.counts_from(source, settings.counts_from))
    contact = _item(batch, f"c{deal_id}") if deal.contact_id else None
    return shared | {
        "title": deal.title,
        "amount": deal.amount,
        "currency": deal.currency,
        "outcome": deal.outcome,
        "contact": contact_reference(deal.contact_id) if deal.contact_id else None,
        "person": {} if contact is None else _person_row(facts.contact(contact)),
        "assigned_by": deal.assigned_by,
        "updated_at": deal.updated_at,
    }


def _item(batch: Batch, name: str) -> dict[str, Any] | None:
    """One item of a batch; None where it is gone. Raises TemporaryFailure, CannotAsk."""
    failure = batch.errors.get(name)
    if isinstance(failure, Refused):
        if failure.code == "NOT_FOUND":
            return None
        raise CannotAsk("portal_refuses", what=failure.code)
    if failure is not None:
        raise failure
    return batch.results[name]["item"]


def contact_reference(contact_id: int) -> str:
    """What external ids call a contact: "contact:4711"."""
    return f"contact:{contact_id}"


def contact_id(reference: str) -> int:
    """4711 for "contact:4711"."""
    return int(reference.removeprefix("contact:"))


def person_of(contact: facts.Contact) -> Person:
    """A contact as a person of ours."""
    return Person(
        contact=contact_reference(contact.id),
        phone=next(iter(contact.phones), None),
        name=contact.name or None,
        email=contact.email,
        birthday=contact.birthday,
    )


def _person_row(contact: facts.Contact) -> dict[str, Any]:
    return {
        "name": contact.name,
        "phones": list(contact.phones),
        "email": contact.email,
        "birthday": contact.birthday,
    }
