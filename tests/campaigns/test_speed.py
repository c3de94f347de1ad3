"""A campaign's speed: what the workers have not told and how slowly phones are answered hold it back."""

from datetime import timedelta

import pytest

from app import answer_times
from app.campaigns import speed
from app.campaigns.definition import parse
from app.campaigns.models import Campaign
from tests.make import NOON


@pytest.mark.parametrize(
    ("answered_in_seconds", "expected"),
    [(None, 4000), (0.01, 4000), (0.2, 2000), (0.39, 2000), (0.5, 1000), (9.0, 1000)],
)
def test_the_pace_doubles_while_answers_are_quick_and_halves_when_they_are_slow(
    answered_in_seconds, expected
):
    assert speed.next_pace(2000, answered_in_seconds) == expected


def test_the_pace_stays_within_its_bounds():
    assert speed.next_pace(speed.PACE_MAX, None) == speed.PACE_MAX
    assert speed.next_pace(speed.PACE_MIN, 60.0) == speed.PACE_MIN


async def test_the_slowest_process_counts_for_as_long_as_its_figure_is_fresh(sessions):
    async with sessions.begin() as session:
        await answer_times.record(session, "one", 0.9, now=NOON)
        await answer_times.record(session, "two", 0.1, now=NOON)
        await answer_times.record(session, "two", 0.3, now=NOON + timedelta(seconds=4))

    async with sessions() as session:
        at_first = await answer_times.slowest(session, now=NOON + timedelta(seconds=4))
        later = await answer_times.slowest(session, now=NOON + timedelta(seconds=6))
        at_last = await answer_times.slowest(session, now=NOON + timedelta(seconds=10))

    assert (at_first, later, at_last) == (0.9, 0.3, None)


async def test_a_campaign_slows_down_while_phones_wait_and_recovers(marketing, members):
    await members(5)
    made = await marketing.plan({"texts": {"en": "News, {{ member_name }}"}, "per_second": 2})
    await marketing.approve(made)
    paces = []
    for seconds in (None, 2.0, 2.0, 0.2, 0.01):
        marketing.now += timedelta(seconds=10)
        if seconds is not None:
            async with marketing.sessions.begin() as session:
                await answer_times.record(session, "one", seconds, now=marketing.now)
        paces.append((await marketing.chunk(made)).pace)
        await marketing.pushed()

    assert paces == [4000, 2000, 1000, 1000, 2000]


async def test_the_next_chunk_waits_as_long_as_the_pace_says(marketing, members, monkeypatch):
    monkeypatch.setattr(speed, "PACE_MIN", 2)
    await members(4)
    made = await marketing.plan({"texts": {"en": "News"}})
    await marketing.approve(made)
    async with marketing.sessions.begin() as session:
        campaign = await session.get_one(Campaign, made.campaign_id)
        campaign.pace = 4
        await answer_times.record(session, "one", 5.0, now=marketing.now)

    after = [await marketing.chunk(made) for _ in range(2)]

    assert [each.done for each in after] == [1, 2]  # half a second's, of two a second
    assert speed.wait_after(after[-1], parse(made.definition), 1) == timedelta(seconds=0.5)
