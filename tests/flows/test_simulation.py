"""Thousands of small stories in which everything goes wrong that can: no event is lost, doubled or unseen.

PASSBELL_SIMULATION_SEEDS is how many: 2,000 in CI, fewer elsewhere.
"""

import os
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from app.passes import outbox, versions
from app.points import ledger
from app.settings import Settings
from app.wiring import Services, open_services
from tests.flows.simulation import Faults, Town

SEEDS = int(os.environ.get("PASSBELL_SIMULATION_SEEDS", "2000" if os.environ.get("CI") == "true" else "60"))
PARTS = 4  # for several processes
CAUGHT_WITHIN = 200  # seeds in which a planted bug must show

pytestmark = pytest.mark.slow


@pytest.fixture
async def services(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Services]:
    shutil.copyfile(sqlite_template, tmp_path / "passbell.db")
    url = f"sqlite:///{tmp_path / 'passbell.db'}"
    settings = Settings(database_url=url, data_dir=tmp_path, worker=False, _env_file=None)
    async with open_services(settings) as services:
        yield services


async def first_failing(services: Services, faults: Faults) -> tuple[int, list[str]] | None:
    for seed in range(CAUGHT_WITHIN):
        if wrongs := await Town(services, seed, faults).play():
            return seed, wrongs
    return None


@pytest.mark.parametrize("part", range(PARTS))
async def test_no_story_ends_with_a_lost_doubled_or_unseen_change(services, part):
    for seed in range(part, SEEDS, PARTS):
        assert await Town(services, seed, Faults()).play() == [], f"seed {seed}"


async def test_the_same_seed_is_the_same_story(services):
    async def story(seed: int) -> list[tuple[int, int]]:
        town = Town(services, seed, Faults())
        await town.play()
        return [(phone.version, phone.balance) for phone in town.phones.values()]

    assert await story(7) == await story(7)


async def test_a_ledger_that_counts_a_repeat_again_is_caught(services):
    numbers = count()

    async def earn(session, account_id, points, *, source_event, **facts):
        await ledger.earn(
            session, account_id, points, source_event=f"{source_event}:{next(numbers)}", **facts
        )

    caught = await first_failing(services, Faults(earn=earn))

    assert caught is not None
    assert caught[1][0].startswith("balance")


async def test_a_change_whose_job_is_not_in_its_transaction_is_caught(services, monkeypatch):
    really, numbers = versions.enqueue_updates, count()

    async def sometimes_dies_first(*args, **kwargs):
        if next(numbers) % 10:  # a crash between the commit and the job
            await really(*args, **kwargs)

    monkeypatch.setattr(versions, "enqueue_updates", sometimes_dies_first)

    caught = await first_failing(services, Faults())

    assert caught is not None
    assert "the phone shows" in caught[1][0]


async def test_an_outbox_that_takes_a_newer_change_for_sent_is_caught(services, monkeypatch):
    async def mark_sent(session, taken, *, now):  # no compare-and-set: what came meanwhile counts as sent too
        await session.execute(
            text("UPDATE updates SET sent_version = wanted_version, leased_until = NULL WHERE pass_id = :id"),
            {"id": taken.pass_id},
        )

    monkeypatch.setattr(outbox, "mark_sent", mark_sent)

    caught = await first_failing(services, Faults())

    assert caught is not None
    assert "the phone shows" in caught[1][0]
