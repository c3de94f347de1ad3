"""Rate limits, on both databases."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.rate_limits import RateLimit, forget_idle, network_of, reserve, seconds_until_free, slow_down, take
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


async def turns(session, count, *, ahead=10.0, now=NOON):
    found = [await reserve(session, "google", rate=20, ahead_seconds=ahead, now=now) for _ in range(count)]
    return [round(each.wait_seconds, 3) if each.is_granted else None for each in found]


async def test_turns_follow_each_other_at_the_rate(session):
    assert await turns(session, 4) == [0.0, 0.05, 0.1, 0.15]
    assert await turns(session, 1, now=NOON + timedelta(seconds=5)) == [0.0]


async def test_who_may_look_further_ahead_goes_first(session):
    assert (await turns(session, 6, ahead=0.2))[-1] is None

    assert await turns(session, 2, ahead=2.0) == [0.25, 0.3]
    refused = await reserve(session, "google", rate=20, ahead_seconds=0.2, now=NOON)
    assert (refused.is_granted, round(refused.wait_seconds, 3)) == (False, 0.15)


async def test_a_pace_slows_down_once_for_the_refusals_of_a_moment_and_rises_again(session):
    await turns(session, 1)
    for _ in range(5):
        await slow_down(session, "google", rate=20, now=NOON)
    slowed = await turns(session, 2, now=NOON + timedelta(seconds=1))
    risen = await turns(session, 2, now=NOON + timedelta(seconds=60))

    assert slowed == [0.0, round(1 / 14.5, 3)]  # 70 % of 20, and half a turn more after a second
    assert risen == [0.0, 0.05]


async def test_a_pace_never_stands_still(session):
    await turns(session, 1)
    for second in range(100):
        await slow_down(session, "google", rate=20, now=NOON + timedelta(seconds=second))

    assert await turns(session, 2, now=NOON + timedelta(seconds=100)) == [0.0, round(1 / 2.5, 3)]


async def test_turns_are_given_once_however_many_ask_at_once(sessions):
    async def one():
        async with sessions.begin() as session:
            return (await reserve(session, "google", rate=20, ahead_seconds=10, now=NOON)).wait_seconds

    waits = await asyncio.gather(*(one() for _ in range(8)))

    assert sorted(round(each, 3) for each in waits) == [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.250", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("x" * 1000, "x" * 64),
        ("", ""),
    ],
)
def test_an_address_stands_for_its_network(address, network):
    assert network_of(address) == network
