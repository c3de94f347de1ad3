"""Rate limits, on both databases."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.rate_limits import RateLimit, forget_idle, seconds_until_free, take
from tests.make import NOON


async def test_no_more_than_the_limit_is_taken_in_a_period(session):
    taken = [await take(session, "phone", limit=3, period_seconds=60, now=NOON) for _ in range(5)]

    assert taken == [True, True, True, False, False]


async def test_what_is_refused_does_not_count_and_time_gives_back(session):
    for _ in range(5):
        await take(session, "phone", limit=3, period_seconds=60, now=NOON)
    later = NOON + timedelta(seconds=20)

    taken = [await take(session, "phone", limit=3, period_seconds=60, now=later) for _ in range(2)]

    assert taken == [True, False]


async def test_each_key_has_its_own_limit(session):
    for key in ("phone", "address"):
        assert await take(session, key, limit=1, period_seconds=60, now=NOON)


async def test_the_limit_is_exact_however_many_take_at_once(sessions):
    async def one() -> bool:
        async with sessions.begin() as session:
            return await take(session, "phone", limit=5, period_seconds=60, now=NOON)

    taken = await asyncio.gather(*(one() for _ in range(8)))

    assert sorted(taken) == [False] * 3 + [True] * 5


async def test_what_was_rolled_back_never_happened(sessions):
    async with sessions() as session:
        assert await take(session, "phone", limit=1, period_seconds=60, now=NOON)
        await session.rollback()

    async with sessions.begin() as session:
        assert await take(session, "phone", limit=1, period_seconds=60, now=NOON)


async def test_a_refused_key_says_when_it_is_free_again(session):
    asked = {"limit": 3, "period_seconds": 60, "now": NOON}
    for _ in range(3):
        await take(session, "phone", **asked)

    wait = await seconds_until_free(session, "phone", **asked)

    assert wait == pytest.approx(20, abs=0.01)
    assert not await take(session, "phone", **asked | {"now": NOON + timedelta(seconds=wait - 0.1)})
    assert await take(session, "phone", **asked | {"now": NOON + timedelta(seconds=wait + 0.001)})
    assert await seconds_until_free(session, "never seen", **asked) == 0


async def test_keys_as_good_as_new_are_forgotten(session):
    await take(session, "old", limit=1, period_seconds=60, now=NOON)
    await take(session, "still counting", limit=1, period_seconds=3600, now=NOON)

    await forget_idle(session, now=NOON + timedelta(seconds=60))

    assert (await session.scalars(select(RateLimit.key))).all() == ["still counting"]
