"""Rate limits, on both databases."""

from datetime import timedelta

from app.rate_limits import take
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
