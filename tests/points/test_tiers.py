"""The tier follows the rolling period, or a hand."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.members.models import Account, Tier
from app.passes.models import Pass
from app.points import ledger
from app.points.refusals import UnknownAccount, UnknownTier
from app.points.tiers import follow_points, retier_due, set_tier
from tests.make import NOON, make_account, make_member, make_pass, make_tier
from tests.points.books import FACTS, make_book, program_of


def day(number: int) -> dict[str, object]:
    return FACTS | {"now": NOON + timedelta(days=number)}


async def tier_of(session, account):
    query = select(Tier.code).join(Account, Account.tier_id == Tier.id).where(Account.id == account.id)
    return await session.scalar(query)


async def tier_points(session, account):
    query = select(Account.tier_points).where(Account.id == account.id)
    return (await session.scalars(query)).one()


async def tier_id(session, account, code):
    query = select(Tier.id).where(Tier.program_id == account.program_id, Tier.code == code)
    return (await session.scalars(query)).one()


async def test_a_tier_falls_the_night_its_points_leave_the_period(session):
    account = await make_book(session, tier_period_days=100)
    await ledger.earn(session, account.id, 600, source_event="1", **day(0))
    await ledger.earn(session, account.id, 600, source_event="2", **day(50))

    seen = []
    for number in (99, 100, 149, 150):
        recounted = await retier_due(session, limit=10, now=NOON + timedelta(days=number))
        seen.append((number, recounted, await tier_of(session, account)))

    assert seen == [(99, 0, "gold"), (100, 1, "silver"), (149, 0, "silver"), (150, 1, "silver")]
    assert await tier_points(session, account) == 0


async def test_an_earning_and_its_reversal_leave_the_period_together(session):
    account = await make_book(session, tier_period_days=100)
    wrong = await ledger.earn(session, account.id, 900, source_event="1", **day(0))
    await ledger.earn(session, account.id, 1000, source_event="2", **day(40))
    await ledger.reverse(session, wrong.entry.id, source_event="3", **day(60))

    await retier_due(session, limit=10, now=NOON + timedelta(days=120))

    assert await tier_of(session, account) == "gold"


async def test_reversing_what_has_left_the_period_takes_nothing_off(session):
    account = await make_book(session, tier_period_days=100)
    old = await ledger.earn(session, account.id, 900, source_event="1", **day(0))
    await ledger.earn(session, account.id, 1000, source_event="2", **day(90))
    await retier_due(session, limit=10, now=NOON + timedelta(days=110))

    await ledger.reverse(session, old.entry.id, source_event="3", **day(111))

    assert await tier_of(session, account) == "gold"
    assert await tier_points(session, account) == 1000


async def test_a_tier_set_by_hand_stays_until_it_follows_points_again(session):
    account = await make_book(session, tier_period_days=100)
    await set_tier(session, account.id, await tier_id(session, account, "gold"), now=NOON)

    await ledger.earn(session, account.id, 5, source_event="1", **day(0))
    await retier_due(session, limit=10, now=NOON + timedelta(days=200))
    by_hand = await tier_of(session, account)
    await follow_points(session, account.id, now=NOON + timedelta(days=200))

    assert (by_hand, await tier_of(session, account)) == ("gold", "silver")


async def test_a_changed_tier_changes_the_pass_and_an_unchanged_one_does_not(session):
    account = await make_book(session)
    issued = await make_pass(session, await make_member(session, account))
    version = select(Pass.version).where(Pass.id == issued.id)
    gold = await tier_id(session, account, "gold")

    await set_tier(session, account.id, gold, now=NOON)
    await set_tier(session, account.id, gold, now=NOON)

    assert (await session.scalars(version)).one() == 2


async def test_a_run_recounts_no_more_accounts_than_its_limit(session):
    first = await make_book(session, tier_period_days=10)
    accounts = [first, *[await make_account(session, await program_of(session, first)) for _ in range(2)]]
    for number, account in enumerate(accounts):
        await ledger.earn(session, account.id, 10, source_event=str(number), **FACTS)

    runs = [await retier_due(session, limit=2, now=NOON + timedelta(days=20)) for _ in range(3)]

    assert runs == [2, 1, 0]


async def test_a_tier_or_an_account_of_another_programme_is_unknown(session):
    account = await make_book(session)
    foreign = await make_tier(session)
    gold = await tier_id(session, account, "gold")

    with pytest.raises(UnknownTier):
        await set_tier(session, account.id, foreign.id, now=NOON)
    with pytest.raises(UnknownAccount):
        await set_tier(session, account.id, gold, program_id=foreign.program_id, now=NOON)
    with pytest.raises(UnknownAccount):
        await follow_points(session, "acc_none", now=NOON)
