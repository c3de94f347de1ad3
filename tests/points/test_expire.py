"""Points that expire: what leaves the balance, once, and what a redemption saves."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.members.models import Account
from app.passes.models import Pass
from app.points import ledger
from app.points.expire import expire_due
from app.points.models import Entry
from tests.make import NOON, make_account, make_member, make_pass
from tests.points.books import FACTS, balance, lots, make_book, program_of

DUE = NOON + timedelta(days=30)


async def test_what_is_left_of_a_lot_leaves_the_balance_on_its_date_and_not_before(session):
    account = await make_book(session, points_expire_after_days=30)
    earned = await ledger.earn(session, account.id, 100, source_event="1", **FACTS)
    await ledger.redeem(session, account.id, 40, source_event="2", **FACTS)

    early = await expire_due(session, limit=10, now=DUE - timedelta(microseconds=1))
    on_time = await expire_due(session, limit=10, now=DUE)
    again = await expire_due(session, limit=10, now=DUE)

    assert (early, on_time, again) == (0, 1, 0)
    assert await balance(session, account) == 0
    newest = (await ledger.history(session, account.id))[0]
    assert (newest.kind, newest.points, newest.balance_after) == ("expire", -60, 0)
    assert (newest.source, newest.source_event) == ("expiry", f"lot:{earned.entry.id}")


async def test_only_the_lots_that_are_due_expire(session):
    account = await make_book(session, points_expire_after_days=30)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    await ledger.earn(session, account.id, 20, source_event="2", **FACTS | {"now": NOON + timedelta(days=1)})

    await expire_due(session, limit=10, now=DUE)

    assert await lots(session, account) == [0, 20]


async def test_points_given_back_to_a_lot_past_its_date_expire_again(session):
    account = await make_book(session, points_expire_after_days=30)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    spent = await ledger.redeem(session, account.id, 4, source_event="2", **FACTS)
    await expire_due(session, limit=10, now=DUE)
    await ledger.reverse(session, spent.entry.id, source_event="3", **FACTS)

    assert await expire_due(session, limit=10, now=DUE) == 1

    assert await balance(session, account) == 0
    assert [entry.points for entry in await ledger.history(session, account.id, limit=3)] == [-4, 4, -6]


@pytest.mark.parametrize("wrongly", [{"balance": 7}, {"sequence": 0}])
async def test_books_that_do_not_add_up_keep_nobody_elses_points_alive(session, wrongly):
    wrong = await make_book(session, points_expire_after_days=30)
    right = await make_account(session, await program_of(session, wrong))
    await ledger.earn(session, wrong.id, 10, source_event="1", **FACTS)
    await ledger.earn(session, right.id, 20, source_event="2", **FACTS)
    await session.execute(update(Account).where(Account.id == wrong.id).values(**wrongly))

    expired = [await expire_due(session, limit=10, now=DUE) for _ in range(2)]

    assert expired == [1, 0]
    assert [await balance(session, account) for account in (wrong, right)] == [wrongly.get("balance", 10), 0]


async def test_a_run_takes_no_more_accounts_than_its_limit(session):
    first = await make_book(session, points_expire_after_days=30)
    accounts = [first, *[await make_account(session, await program_of(session, first)) for _ in range(2)]]
    for number, account in enumerate(accounts):
        await ledger.earn(session, account.id, 10, source_event=str(number), **FACTS)

    runs = [await expire_due(session, limit=2, now=DUE) for _ in range(3)]

    assert runs == [2, 1, 0]


async def test_several_lots_of_an_account_change_its_pass_once(session):
    account = await make_book(session, points_expire_after_days=30)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    await ledger.earn(session, account.id, 10, source_event="2", **FACTS)
    issued = await make_pass(session, await make_member(session, account))

    await expire_due(session, limit=10, now=DUE)

    versions = await session.scalars(select(Pass.version).where(Pass.id == issued.id))
    assert versions.one() == 2


async def test_points_of_a_blocked_member_expire_too(session):
    account = await make_book(session, points_expire_after_days=30)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    await make_member(session, account, state="blocked")

    assert await expire_due(session, limit=10, now=DUE) == 1


async def test_an_expiry_is_not_reversed(session):
    account = await make_book(session, points_expire_after_days=30)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    await expire_due(session, limit=10, now=DUE)
    expired = (await session.scalars(select(Entry.id).where(Entry.kind == "expire"))).one()

    with pytest.raises(ledger.CannotReverse, match="adjust"):
        await ledger.reverse(session, expired, source_event="2", **FACTS)
