"""kill -9, again and again, while passes change: nothing acknowledged is lost, every phone ends up right.

PASSBELL_TEST_SOAK=1 (`make soak`) runs it at full length: 5,000 passes and 20 kills on either database.
"""

import asyncio
import json
import os
import random
import secrets
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.clock import utc_now
from app.db import Sessions
from app.members.models import Account
from app.passes.models import Pass
from app.points.models import Entry
from app.points.reconcile import reconcile
from app.simulators.world import World
from tests.flows.crowd import Crowd, make_crowd
from tests.flows.phones import AGAIN_SECONDS, Phones, switched_on
from tests.flows.server import Server, running
from tests.flows.wire import Wire

pytestmark = pytest.mark.slow

PASSES, KILLS = (5_000, 20) if os.environ.get("PASSBELL_TEST_SOAK") else (600, 5)
CHANGES = PASSES + PASSES // 5  # some passes change twice
TILLS = 16
POINTS = 3
SETTLED_WITHIN_SECONDS = 90.0


@dataclass
class Tills:
    """Clients that move points; one that gets no answer asks again under the same key."""

    server: Server
    crowd: Crowd
    busy: frozenset[int] = frozenset()  # statuses that ask to try again
    acknowledged: dict[str, str] = field(default_factory=dict)  # account, by key
    repeated: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        chance = random.Random(2)
        every = [holder.account_id for holder in self.crowd.holders]
        accounts = every + chance.sample(every, CHANGES - PASSES)
        chance.shuffle(accounts)
        waiting = iter(accounts)
        async with asyncio.TaskGroup() as tills:
            for _ in range(TILLS):
                tills.create_task(self._till(waiting))

    async def _till(self, waiting: Any) -> None:
        async with Wire(self.server.url, {"Authorization": f"Bearer {self.crowd.api_key}"}) as wire:
            for account_id in waiting:
                key = secrets.token_hex(16)
                await self._earn(wire, account_id, key)
                self.acknowledged[key] = account_id
                self._more.set()

    async def _earn(self, wire: Wire, account_id: str, key: str) -> None:
        path = f"/api/v1/accounts/{account_id}/transactions"
        body = json.dumps({"kind": "earn", "points": POINTS, "reason": "Order"}).encode()
        while True:
            await self.server.ready.wait()
            try:
                answer = await wire.send("POST", path, body, {"Idempotency-Key": key})
            except ConnectionError:
                self.repeated += 1
                continue
            if answer.status in self.busy:
                self.repeated += 1
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            assert answer.status == 201, answer
            return

    async def wait_for(self, count: int) -> None:
        """Return when so many changes were acknowledged."""
        while len(self.acknowledged) < count:
            self._more.clear()
            await self._more.wait()


async def test_kill_9_loses_nothing_and_leaves_every_phone_on_the_newest_version(
    settings: dict[str, Any], database: str, world: World, tmp_path: Path, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        crowd = await make_crowd(session, PASSES, now=utc_now())
    workers = 2 if database == "postgresql" else 0  # on SQLite the web process works too

    async with running(settings, tmp_path, workers=workers) as server:
        tills = Tills(server, crowd)
        phones = Phones(server, crowd, settings["secret_key"].encode())
        async with switched_on(phones, world.apns):
            async with asyncio.TaskGroup() as group:
                group.create_task(tills.run())
                group.create_task(_kill(server, tills))
            newest = await versions_of(sessions)
            try:
                async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
                    await phones.wait_until_at(newest)
            except TimeoutError:
                pytest.fail(f"{len(phones.behind(newest))} phones are behind")

    assert tills.repeated > 0, "no kill met a request: the test proves nothing"
    assert phones.behind(newest) == []
    await assert_books(sessions, tills)


async def _kill(server: Server, tills: Tills) -> None:
    """Kill each kind of process in turn, spread over all the changes, each time in the midst of work."""
    for kill in range(KILLS):
        await tills.wait_for(CHANGES * (kill + 1) // (KILLS + 1))
        await server.kill_and_restart(server.children[kill % len(server.children)])


async def versions_of(sessions: Sessions) -> dict[str, int]:
    async with sessions() as session:
        return {row.id: row.version for row in await session.execute(select(Pass.id, Pass.version))}


async def assert_books(sessions: Sessions, tills: Tills) -> None:
    async with sessions() as session:
        entries = (await session.execute(select(Entry.source_event, Entry.account_id))).all()
        balances = (await session.execute(select(Account.id, Account.balance))).all()
    assert sorted((event, account_id) for event, account_id in entries) == sorted(tills.acknowledged.items())
    changes = Counter(tills.acknowledged.values())
    assert {id_: balance for id_, balance in balances} == {id_: changes[id_] * POINTS for id_, _ in balances}
    report = await reconcile(sessions.kw["bind"], now=utc_now())
    assert report.mismatches == []
