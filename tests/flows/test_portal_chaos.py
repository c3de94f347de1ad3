"""Deals change, a fifth of their events are lost, a fifth come twice, out of order, and processes are killed.

After the poller every balance is what the portal's deals say, and no entry is there twice.

PASSBELL_TEST_SOAK=1 (`make soak`) runs it at full length: 10,000 events on 500 contacts and ten kills.
"""

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utc_now
from app.crm.bitrix24 import source as bitrix24
from app.db import Sessions, new_id
from app.inbox import sources
from app.inbox.models import InboundEvent, Purchase, Source
from app.job_queue import enqueue, kinds
from app.members.models import Account, Member
from app.points.models import Entry
from app.points.reconcile import reconcile
from app.simulators.bitrix24 import Contact, Deal, Plan, Portal, running
from app.simulators.bitrix24.limits import UNLIMITED
from tests.flows.server import Server
from tests.flows.server import running as serving
from tests.make import make_program, make_tier

pytestmark = pytest.mark.slow

IS_SOAK = bool(os.environ.get("PASSBELL_TEST_SOAK"))
EVENTS, CONTACTS, KILLS = (10_000, 500, 10) if IS_SOAK else (200, 30, 1)
RATE_PERCENT = 5
POLLS_MAX = 5
SETTLED_WITHIN_SECONDS = 1800.0 if IS_SOAK else 120.0
NOT_WRITTEN_BACK = {"card": "", "link": "", "balance": "", "tier": ""}


@dataclass
class Managers:
    """Everybody in the portal, and what the balances must come to."""

    portal: Portal
    contacts: list[Contact]
    chance: random.Random = field(default_factory=lambda: random.Random(24))
    deals: list[Deal] = field(default_factory=list)

    def work(self, events: int) -> None:
        """Change deals so many times: a third are new, one in twenty of the won is lost again."""
        for _ in range(events):
            self._change()

    def _change(self) -> None:
        if len(self.deals) < 10 or self.chance.random() < 0.33:
            amount = self.chance.randint(1, 50_000)
            self.deals.append(self.portal.add_deal(amount, self.chance.choice(self.contacts)))
            return
        deal = self.chance.choice(self.deals)
        if deal.stage != "WON":
            self.portal.win(deal)
        elif self.chance.random() < 0.05:
            self.portal.lose(deal)
        else:
            self.portal.edit_deal(deal, amount=self.chance.randint(1, 50_000))

    def balances(self) -> dict[str, int]:
        """By phone."""
        points: Counter[str] = Counter({contact.phones[0]: 0 for contact in self.contacts})
        for deal in self.deals:
            if deal.stage == "WON":
                phone = self.portal.contacts[deal.contacts[0]].phones[0]
                points[phone] += int(deal.amount) * RATE_PERCENT // 100
        return dict(points)


async def test_after_the_poller_every_balance_is_what_the_deals_say(
    settings: dict[str, Any], database: str, tmp_path: Path, sessions: Sessions
) -> None:
    portal = Portal(plan=Plan(seed=24, lost=0.2, doubled=0.2, shuffled=True), limits=UNLIMITED)
    workers = 1 if IS_SOAK and database == "postgresql" else 0
    settings = settings | {"worker": not workers}
    async with running(portal) as portal_url, serving(settings, tmp_path, workers=workers) as server:
        managers = Managers(portal, [_contact(portal, number) for number in range(CONTACTS)])
        async with sessions.begin() as session:
            source = await _connect(session, settings, portal, portal_url, managers.contacts)
        for event in ("ONCRMDEALADD", "ONCRMDEALUPDATE"):
            portal.subscribe(event, f"{server.url}/hooks/{source.slug}")

        for kill in range(KILLS):
            managers.work(EVENTS // KILLS)
            await asyncio.gather(portal.calls.deliver(), _kill(server, portal, kill))
        before = await _settled(sessions)
        for _ in range(POLLS_MAX):
            async with sessions.begin() as session:
                await enqueue(session, kinds.BITRIX24_POLL, {"source_id": source.id})
            found = await _settled(sessions)
            if found == before:
                break
            before = found

    assert portal.calls.lost, "nothing was lost: the test proves nothing"
    assert await _balances(sessions) == managers.balances()
    await _assert_books(sessions, managers)


def _contact(portal: Portal, number: int) -> Contact:
    return portal.add_contact(f"Клиент {number}", f"+7916{number:07}")


async def _connect(
    session: AsyncSession, settings: dict[str, Any], portal: Portal, portal_url: str, contacts: list[Contact]
) -> Source:
    """The portal as a source of a programme in which every contact's phone has a card."""
    now, secret_key = utc_now(), settings["secret_key"].encode()
    program = await make_program(session, slug="school")
    await make_tier(session, program, threshold=0, rate_basis_points=RATE_PERCENT * 100)
    accounts = [
        {"id": new_id("acc"), "program_id": program.id, "phone": contact.phones[0], "created_at": now}
        for contact in contacts
    ]
    members = [
        {
            "id": new_id("mem"),
            "program_id": program.id,
            "account_id": account["id"],
            "card_number": f"{number:08}",
            "name": contact.name,
            "phone": contact.phones[0],
            "language": "ru",
            "answers": {},
            "created_at": now,
        }
        for number, (account, contact) in enumerate(zip(accounts, contacts, strict=True))
    ]
    await session.execute(insert(Account), accounts)
    await session.execute(insert(Member), members)
    source, _ = await sources.add(
        session,
        secret_key,
        program.id,
        bitrix24,
        kind=bitrix24.KIND,
        slug="school",
        settings={
            "portal_url": portal_url,
            "notifies": False,
            "comments": False,
            "fields": NOT_WRITTEN_BACK,
            "requests_per_second": 1000,
            "requests_at_once": 100_000,
        },
        secret=portal.application_token,
        now=now,
    )
    kept = sources.read_secrets(secret_key, source)
    kept[bitrix24.WEBHOOK_URL] = f"{portal_url}/rest/{portal.webhook_user}/{portal.webhook_secret}/"
    sources.write_secrets(secret_key, source, kept)
    await session.flush()
    return source


async def _kill(server: Server, portal: Portal, kill: int) -> None:
    """Kill one process in the midst of this wave's deliveries, and start it again."""
    wanted = len(portal.calls.statuses) + EVENTS // KILLS // 3
    await portal.calls.answered(wanted)
    await server.kill_and_restart(server.children[kill % len(server.children)])


async def _settled(sessions: Sessions) -> int:
    """Wait until nothing is left to be handled; how many deliveries were kept by then."""
    waiting = select(func.count()).where(InboundEvent.state == "received")
    async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
        while True:
            async with sessions() as session:
                left = await session.scalar(waiting)
                jobs = await session.scalar(text("SELECT count(*) FROM pgqueuer"))
                kept = await session.scalar(select(func.count()).select_from(InboundEvent))
            if not left and not jobs:
                return kept or 0
            await asyncio.sleep(0.1)


async def _balances(sessions: Sessions) -> dict[str, int]:
    async with sessions() as session:
        return {
            row.phone: row.balance for row in await session.execute(select(Account.phone, Account.balance))
        }


async def _assert_books(sessions: Sessions, managers: Managers) -> None:
    async with sessions() as session:
        resting = (
            await session.scalars(select(InboundEvent.reason).where(InboundEvent.state == "rested"))
        ).all()
        purchases = {
            row.reference: row.points
            for row in await session.execute(select(Purchase.reference, Purchase.points))
        }
        entries = await session.execute(select(Entry.source_event, Entry.points))
        posted: Counter[str] = Counter()
        for event, points in entries:
            posted[event.partition("#")[0]] += points
    assert resting == []
    assert dict(posted) == {
        reference: points for reference, points in purchases.items() if reference in posted
    }
    won = {
        f"deal:{deal.id}": int(deal.amount) * RATE_PERCENT // 100
        for deal in managers.deals
        if deal.stage == "WON"
    }
    assert {reference: points for reference, points in purchases.items() if points} == {
        reference: points for reference, points in won.items() if points
    }
    report = await reconcile(sessions.kw["bind"], now=utc_now())
    assert report.mismatches == []
