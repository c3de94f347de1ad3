from datetime import timedelta

import pytest

from app.passes import budget
from app.passes.budget import Decision, Rang, Rules
from app.passes.versions import APPLE, GOOGLE
from tests.make import NOON, make_issued

RULES = Rules("Asia/Almaty", None, None)  # five hours ahead of NOON's clock
HOUR = timedelta(hours=1)


def rang(count, cause="field", purpose="live", wallet=GOOGLE):
    """So many rings, an hour apart, the newest an hour ago."""
    return [Rang(wallet, cause, purpose, NOON - HOUR * each) for each in range(count, 0, -1)]


@pytest.mark.parametrize(
    ("already", "cause", "purpose", "expected"),
    [
        (rang(2), "field", "live", Decision("rings", "within_budget")),
        (rang(3), "field", "live", Decision("silent", "day_full", NOON + HOUR * 21)),
        (rang(5), "field", "live", Decision("silent", "day_full", NOON + HOUR * 21)),
        (rang(3), "message", "live", Decision("rings", "within_budget")),
        (rang(3, "message"), "message", "live", Decision("silent", "day_full", NOON + HOUR * 21)),
        (rang(9, wallet=APPLE), "field", "live", Decision("rings", "within_budget")),
        (rang(1), "field", "campaign", Decision("rings", "within_budget")),
        (rang(2), "field", "campaign", Decision("silent", "kept_for_purchases", NOON + HOUR * 22)),
    ],
)
def test_google_rings_three_times_a_day_and_the_last_is_for_purchases(already, cause, purpose, expected):
    assert budget.decide(RULES, already, GOOGLE, cause, purpose, now=NOON) == expected


@pytest.mark.parametrize(("cap", "outcome"), [(None, "rings"), (0, "silent"), (1, "silent"), (2, "rings")])
def test_a_programme_may_cap_what_its_campaigns_ring(cap, outcome):
    rules = Rules("UTC", None, cap)
    already = rang(1, "message", "campaign")

    assert budget.decide(rules, already, GOOGLE, "field", "campaign", now=NOON).outcome == outcome
    assert budget.decide(rules, already, GOOGLE, "field", "live", now=NOON).outcome == "rings"


@pytest.mark.parametrize(
    ("hours", "ends"),
    [
        ("22:00-09:00", None),
        ("16:00-18:30", NOON + HOUR * 1.5),
        ("16:00-17:00", None),
        ("17:00-16:59", NOON + HOUR * 23 + timedelta(minutes=59)),
        ("18:00-17:01", NOON + timedelta(minutes=1)),
    ],
)
def test_quiet_hours_are_those_of_the_programmes_own_clock(hours, ends):
    """It is 17:00 in Almaty."""
    assert budget.quiet_until(Rules("Asia/Almaty", hours, None), NOON) == ends


def test_in_quiet_hours_a_campaigns_message_waits_its_field_is_silent_and_a_purchase_rings():
    rules = Rules("Asia/Almaty", "16:00-18:00", None)

    def decided(cause, purpose):
        return budget.decide(rules, [], GOOGLE, cause, purpose, now=NOON)

    assert decided("message", "campaign") == Decision("deferred", "quiet_hours", NOON + HOUR)
    assert decided("field", "campaign") == Decision("silent", "quiet_hours", NOON + HOUR)
    assert decided("message", "live").outcome == "rings"


async def test_a_ring_is_counted_once_and_can_be_given_back(session):
    issued = await make_issued(session)
    which = (session, issued.program_id, issued.id, GOOGLE, "field")

    first = await budget.count(*which, key="v2", purpose="live", now=NOON)
    again = await budget.count(*which, key="v2", purpose="live", now=NOON)

    assert (first, again) == (True, False)
    assert await budget.rang_today(session, issued.id, now=NOON) == [Rang(GOOGLE, "field", "live", NOON)]
    await budget.give_back(session, issued.id, GOOGLE, "field", key="v2")
    assert not await budget.is_counted(session, issued.id, GOOGLE, "field", key="v2")


async def test_yesterdays_rings_are_forgotten(session):
    issued = await make_issued(session)
    for hours in (1, 25, 49):
        which = (session, issued.program_id, issued.id, GOOGLE, "field")
        await budget.count(*which, key=f"v{hours}", purpose="live", now=NOON - HOUR * hours)

    await budget.forget_old(session, now=NOON)

    assert [each.at for each in await budget.rang_today(session, issued.id, now=NOON)] == [NOON - HOUR]
    assert await budget.is_counted(session, issued.id, GOOGLE, "field", key="v25")
    assert not await budget.is_counted(session, issued.id, GOOGLE, "field", key="v49")
