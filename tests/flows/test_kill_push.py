"""kill -9 of workers in the midst of a campaign whose pushes often fail: every phone is told, few twice.

PASSBELL_TEST_SOAK=1 (`make soak`) runs it at full length: 20,000 phones and 50 kills on either database.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.clock import utc_now
from app.db import Sessions
from app.job_queue import kinds
from app.jobs.push_apple_chunk import AT_ONCE
from app.passes import versions
from app.passes.models import Update
from app.simulators.apns import ApnsFaults
from app.simulators.world import World
from tests.flows.crowd import Crowd, make_crowd
from tests.flows.server import Server, running

pytestmark = pytest.mark.slow

PHONES, KILLS = (20_000, 50) if os.environ.get("PASSBELL_TEST_SOAK") else (1_000, 2)
FAILING = ApnsFaults(busy_share=0.15, unavailable_share=0.15)
MARKED_AT_ONCE = 1000
# What a worker may have sent and not yet written down: every chunk it works at, once.
BATCH = min(AT_ONCE * versions.CHUNK, PHONES)
SETTLED_WITHIN_SECONDS = 1800.0  # after each kill some passes wait for the end of their lease


async def test_kill_9_of_workers_in_a_campaign_leaves_no_phone_untold(
    settings: dict[str, Any], database: str, world: World, tmp_path: Path, sessions: Sessions
) -> None:
    world.apns.faults = FAILING
    async with sessions.begin() as session:
        crowd = await make_crowd(session, PHONES, now=utc_now())

    workers = 2 if database == "postgresql" else 0  # on SQLite the web process works too
    async with running(settings, tmp_path, workers=workers) as server:
        async with asyncio.timeout(SETTLED_WITHIN_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(mark_all(sessions, crowd))
            group.create_task(_kill(server, world))
        async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
            while await is_behind(sessions):  # noqa: ASYNC110 (the condition is in the database)
                await asyncio.sleep(0.2)

    told = Counter(push.push_token for push in world.apns.accepted)
    assert set(told) == {holder.push_token for holder in crowd.holders}
    assert world.apns.counts.refused > PHONES * 0.2, "no send failed: the test proves nothing"
    assert told.total() - len(told) <= KILLS * BATCH


async def mark_all(sessions: Sessions, crowd: Crowd) -> None:
    """Change every pass, as a campaign's chunks do."""
    pass_ids = [holder.pass_id for holder in crowd.holders]
    for start in range(0, len(pass_ids), MARKED_AT_ONCE):
        some = pass_ids[start : start + MARKED_AT_ONCE]
        async with sessions.begin() as session:
            await versions.mark_changed(
                session, crowd.program.id, some, because={}, now=utc_now(), priority=kinds.BULK
            )


async def _kill(server: Server, world: World) -> None:
    """Kill a worker each time another share of the phones was told."""
    victims = server.workers or [server.web]
    for kill in range(KILLS):
        share = PHONES * (kill + 1) // (KILLS + 2)
        while len(world.apns.accepted) < share:  # noqa: ASYNC110 (the condition belongs to the simulator)
            await asyncio.sleep(0.01)
        await server.kill_and_restart(victims[kill % len(victims)])


async def is_behind(sessions: Sessions) -> bool:
    behind = select(Update.pass_id).where(Update.wanted_version > Update.sent_version).limit(1)
    async with sessions() as session:
        return await session.scalar(behind) is not None
