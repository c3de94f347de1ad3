"""The limits against SMS pumping, each exact at its border."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.enrolment.limits import TooMany, take
from app.rate_limits import RateLimit
from tests.make import NOON

KEY = b"a secret key of the installation"
PHONE = "+79123456789"


async def fill(session, phone=PHONE, *, address="203.0.113.7", is_proven=True, per_day=1000, after=0.0):
    """ "taken", or the name of the limit that refused."""
    try:
        await take(
            session,
            "prg_1",
            KEY,
            phone=phone,
            address=address,
            is_proven=is_proven,
            per_day=per_day,
            now=NOON + timedelta(seconds=after),
        )
    except TooMany as refusal:
        return refusal.limit.name
    return "taken"


def stranger(number: int) -> str:
    """A phone in a block of numbers of its own."""
    return f"+7912{number:03}0000"


async def test_a_phone_gets_one_sms_a_minute_and_three_in_ten_minutes(session):
    answers = [await fill(session, after=seconds) for seconds in (0, 59.9, 60, 120, 180)]

    assert answers == ["taken", "phone_minute", "taken", "taken", "phone_10min"]


async def test_a_phone_gets_five_sms_at_once_in_a_day_and_then_one_in_five_hours(session):
    quarter = 15 * 60
    answers = [await fill(session, after=each * quarter) for each in range(7)]

    assert answers == ["taken"] * 5 + ["phone_day"] * 2
    assert await fill(session, after=5 * 3600) == "taken"


async def test_thirty_strangers_may_share_an_address_block(session):
    answers = [await fill(session, stranger(each), address=f"203.0.113.{each}") for each in range(31)]

    assert answers == ["taken"] * 30 + ["address_hour"]
    assert await fill(session, stranger(31), address="203.0.114.1") == "taken"


async def test_without_proof_of_work_an_address_block_gets_three(session):
    answers = [await fill(session, stranger(each), is_proven=False) for each in range(4)]

    assert answers == ["taken"] * 3 + ["unproven_hour"]
    assert await fill(session, stranger(4)) == "taken"


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2::2", "unproven_hour"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", "taken"),
        ("203.0.113.1", "::ffff:203.0.113.2", "unproven_hour"),
    ],
)
async def test_neighbouring_addresses_share_a_limit(session, one, other, answer):
    for each in range(3):
        await fill(session, stranger(each), address=one, is_proven=False)

    assert await fill(session, stranger(3), address=other, is_proven=False) == answer


async def test_twenty_neighbouring_numbers_get_an_sms_in_an_hour(session):
    answers = [
        await fill(session, f"+7912345{each:04}", address=f"10.0.{each}.1") for each in range(0, 2100, 100)
    ]

    assert answers == ["taken"] * 20 + ["numbers_hour"]
    assert await fill(session, "+79123460000", address="10.1.0.1") == "taken"


async def test_a_programme_spends_a_quarter_of_its_day_in_an_hour_and_not_more_than_its_day(session):
    def spread(number):
        return {"address": f"10.{number}.0.1", "per_day": 8}

    hours = [
        [await fill(session, stranger(10 * hour + each), **spread(10 * hour + each), after=hour * 3600)
         for each in range(3)]
        for hour in range(6)
    ]  # fmt: skip

    assert hours[:3] == [["taken", "taken", "program_hour"]] * 3
    assert sum(hour.count("taken") for hour in hours) <= 8 + 2  # and what the day gives back in six hours
    assert "program_day" in hours[5]


@pytest.mark.parametrize("database", ["sqlite"])
async def test_managers_hear_once_an_hour_of_a_limit_that_guards_the_purse(session):
    async def refused(number, after=0.0):
        with pytest.raises(TooMany) as caught:
            await take(
                session,
                "prg_1",
                KEY,
                phone=stranger(number),
                address=f"10.0.{number}.1",
                is_proven=True,
                per_day=4,
                now=NOON + timedelta(seconds=after),
            )
        return caught.value.limit.name, caught.value.is_news

    await fill(session, per_day=4)

    assert [await refused(1), await refused(2)] == [("program_hour", True), ("program_hour", False)]
    await fill(session, stranger(9), per_day=4, after=3600)
    assert await refused(3, after=3601) == ("program_hour", True)


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_refusal_that_concerns_one_person_is_no_news_and_says_when_to_return(session):
    await fill(session)

    with pytest.raises(TooMany) as caught:
        await take(
            session, "prg_1", KEY, phone=PHONE, address="10.0.0.1", is_proven=True, per_day=9, now=NOON
        )

    assert caught.value.is_news is False
    assert caught.value.retry_after_seconds == pytest.approx(60, abs=0.01)


async def test_the_table_of_limits_is_no_list_of_phone_numbers(session):
    await fill(session)

    keys = " ".join(await session.scalars(select(RateLimit.key)))

    assert "123456789" not in keys
    assert "912345" not in keys


async def test_one_phone_filled_in_by_eight_at_once_gets_one_sms(sessions):
    async def one(number):
        async with sessions.begin() as session:
            return await fill(session, address=f"10.0.{number}.1")

    answers = await asyncio.gather(*(one(number) for number in range(8)))

    assert sorted(answers) == ["phone_minute"] * 7 + ["taken"]
