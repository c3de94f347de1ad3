"""Workers on three hosts, one of which loses the network in the midst of a campaign and comes back.

Only with PASSBELL_TEST_SOAK=1 (`make soak`), as root, and where `ip` can make hosts.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from app.clock import utc_now
from app.db import Sessions
from app.simulators.world import World
from tests.flows.crowd import make_crowd
from tests.flows.hosts import CAN_MAKE_HOSTS, hosts
from tests.flows.server import ROOT, Child, environment_of
from tests.flows.test_kill_push import BATCH, is_behind, mark_all

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("PASSBELL_TEST_SOAK"), reason="only in make soak"),
    pytest.mark.skipif(not CAN_MAKE_HOSTS, reason="needs root and iproute2"),
]

PHONES = 10_000
WITHIN_SECONDS = 300.0


@pytest.mark.parametrize("database", ["postgresql"])
async def test_every_phone_is_told_though_a_host_is_cut_off_in_the_middle(
    settings: dict[str, Any], world: World, tmp_path: Path, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        crowd = await make_crowd(session, PHONES, now=utc_now())
    database_port = make_url(settings["database_url"]).port or 5432
    given = {"pass_templates_dir": ROOT / "pass_templates", "log_format": "json"} | settings

    async with hosts(3, [database_port, settings["apns_port"]]) as three:
        workers = []
        for number, host in enumerate(three):
            environment = environment_of(given | {"data_dir": tmp_path / f"data{number}"})
            workers.append(Child("worker", environment, tmp_path / f"host{number}.log", inside=host.inside))
        try:
            for worker in workers:
                await worker.start()
            async with asyncio.timeout(WITHIN_SECONDS):
                await mark_all(sessions, crowd)
                await _told(world, PHONES // 3)
                three[0].pull_cable()
                await _told(world, PHONES * 2 // 3)
                three[0].plug_cable()
                while await is_behind(sessions):  # noqa: ASYNC110 (the condition is in the database)
                    await asyncio.sleep(0.2)
        finally:
            await asyncio.gather(*(worker.stop() for worker in workers))

    told = Counter(push.push_token for push in world.apns.accepted)
    assert set(told) == {holder.push_token for holder in crowd.holders}
    assert told.total() - len(told) <= BATCH


async def _told(world: World, count: int) -> None:
    while len(world.apns.accepted) < count:  # noqa: ASYNC110 (the condition belongs to the simulator)
        await asyncio.sleep(0.05)
