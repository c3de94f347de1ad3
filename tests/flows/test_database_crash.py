"""PostgreSQL crashes under load and starts again: what was acknowledged is there once, every phone hears.

Only with PASSBELL_TEST_SOAK=1 (`make soak`).
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import migrations
from app.clock import utc_now
from app.db import open_engine, open_sessions
from app.simulators.world import World
from tests.flows.crowd import make_crowd
from tests.flows.own_postgres import CAN_RUN_A_SERVER, OwnPostgres, own_postgres
from tests.flows.phones import Phones, switched_on
from tests.flows.server import running
from tests.flows.test_kill import CHANGES, PASSES, Tills, assert_books, versions_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("PASSBELL_TEST_SOAK"), reason="only in make soak"),
    pytest.mark.skipif(not CAN_RUN_A_SERVER, reason="PostgreSQL's server programs are not installed"),
]

CRASHES = 5
AWAY_SECONDS = 0.5
BUSY = frozenset({500, 503})
SETTLED_WITHIN_SECONDS = 120.0


@pytest.fixture
def own() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


async def test_a_crash_of_the_database_loses_nothing_that_was_acknowledged(
    own: OwnPostgres, world: World, tmp_path: Path
) -> None:
    engine = open_engine(own.url)
    await migrations.upgrade(engine)
    sessions = open_sessions(engine)
    async with sessions.begin() as session:
        crowd = await make_crowd(session, PASSES, now=utc_now())
    settings: dict[str, Any] = world.settings | {"database_url": own.url, "secret_key": "s" * 32}

    async with running(settings, tmp_path, workers=2) as server:
        tills = Tills(server, crowd, busy=BUSY)
        phones = Phones(server, crowd, settings["secret_key"].encode(), busy=BUSY)
        async with switched_on(phones, world.apns):
            async with asyncio.TaskGroup() as load:
                load.create_task(tills.run())
                for crash in range(CRASHES):
                    await tills.wait_for(CHANGES * (crash + 1) // (CRASHES + 1))
                    await asyncio.to_thread(own.crash)
                    await asyncio.sleep(AWAY_SECONDS)
                    await asyncio.to_thread(own.start)
            newest = await versions_of(sessions)
            async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
                await phones.wait_until_at(newest)
        for child in server.children:
            child.assert_runs()

    assert tills.repeated > 0, "no crash met a request: the test proves nothing"
    assert phones.behind(newest) == []
    await assert_books(sessions, tills)
    await engine.dispose()
