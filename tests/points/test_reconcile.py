"""The reconciler finds what no constraint can prevent: each kind of damage, and the right row."""

from datetime import timedelta

import pytest
from sqlalchemy import text, update

from app.members.models import Account
from app.passes.models import Pass, Update
from app.points import ledger
from app.points.expire import expire_due
from app.points.reconcile import MISMATCHES_MAX, Mismatch, reconcile
from tests.make import NOON, make_account, make_member, make_pass
from tests.points.books import FACTS, make_book, program_of

SOON = NOON + timedelta(minutes=5)


@pytest.fixture
async def entries(sessions):
    """An account with an entry of every kind, by the event that made it: 100, -30, +30, 50, -10, ..."""
    async with sessions.begin() as session:
        account = await make_book(session, points_expire_after_days=30)
        posted = {}
        for event, act, points in (
            ("open", ledger.open_balance, 100),
            ("spend", ledger.redeem, 30),
            ("earn", ledger.earn, 50),
            ("fix", ledger.adjust, -10),
            ("wrong", ledger.earn, 7),
        ):
            result = await act(session, account.id, points, source_event=event, **FACTS)
            posted[event] = result.entry
        for event in ("spend", "wrong"):
            back = f"{event} back"
            result = await ledger.reverse(session, posted[event].id, source_event=back, **FACTS)
            posted[back] = result.entry
    return posted


async def damage(engine, *statements, **values):
    """Change rows as a person with a database console could: constraints hold, the ledger is not asked."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement), values)


async def test_books_that_are_right_have_no_mismatch(engine, sessions, entries):
    async with sessions.begin() as session:
        await expire_due(session, limit=10, now=NOON + timedelta(days=30))
        await make_account(session)

    report = await reconcile(engine, now=NOON)

    assert report.mismatches == []
    assert (report.accounts, report.entries) == (2, 9)


async def found(engine, **settings):
    return (await reconcile(engine, now=SOON, **settings)).mismatches


async def test_a_changed_balance_is_found(engine, entries):
    account_id = entries["open"].account_id
    await damage(engine, "UPDATE accounts SET balance = balance + 1")

    assert await found(engine) == [
        Mismatch("balance", "accounts", account_id, "140", "141"),
        Mismatch("open lots", "accounts", account_id, "140", "141"),
    ]


async def test_a_deleted_entry_is_found_at_the_one_that_follows_it(engine, entries):
    fix, after = entries["fix"], entries["wrong"]
    await damage(
        engine,
        "DELETE FROM lot_uses WHERE entry_id = :id",
        "DELETE FROM entries WHERE id = :id",
        id=fix.id,
    )

    mismatches = await found(engine)

    assert Mismatch("sequence", "entries", after.id, "4", "5") in mismatches
    assert Mismatch("balance after", "entries", after.id, "127", "117") in mismatches


async def test_a_deleted_newest_entry_is_found_at_its_account(engine, entries):
    newest = entries["wrong back"]
    await damage(
        engine,
        "DELETE FROM lot_uses WHERE entry_id = :id",
        "DELETE FROM entries WHERE id = :id",
        id=newest.id,
    )

    assert Mismatch("newest sequence", "accounts", newest.account_id, "6", "7") in await found(engine)


async def test_changed_points_of_an_entry_are_found(engine, entries):
    await damage(engine, "UPDATE entries SET points = 60 WHERE id = :id", id=entries["earn"].id)

    mismatches = await found(engine)

    assert Mismatch("balance after", "entries", entries["earn"].id, "130", "120") in mismatches
    assert Mismatch("lot of a credit", "entries", entries["earn"].id, "60", "50") in mismatches


async def test_a_changed_lot_is_found(engine, entries):
    await damage(engine, "UPDATE lots SET remaining = 49 WHERE entry_id = :id", id=entries["earn"].id)

    assert Mismatch("lot", "lots", entries["earn"].id, "50", "49") in await found(engine)


async def test_a_deleted_lot_is_found_at_its_entry(engine, entries):
    await damage(engine, "DELETE FROM lots WHERE entry_id = :id", id=entries["earn"].id)

    assert Mismatch("lot of a credit", "entries", entries["earn"].id, "50", "0") in await found(engine)


async def test_a_deleted_use_of_a_lot_is_found_at_its_entry(engine, entries):
    await damage(engine, "DELETE FROM lot_uses WHERE entry_id = :id", id=entries["fix"].id)

    assert Mismatch("uses of an entry", "entries", entries["fix"].id, "10", "0") in await found(engine)


async def test_a_reversal_that_is_not_the_opposite_is_found(engine, entries):
    back = entries["spend back"]
    await damage(engine, "UPDATE entries SET points = 31 WHERE id = :id", id=back.id)

    assert Mismatch("reversal", "entries", back.id, "30", "31") in await found(engine)


async def test_changed_tier_points_are_found(engine, entries):
    await damage(engine, "UPDATE accounts SET tier_points = 51")

    account_id = entries["open"].account_id
    assert await found(engine) == [Mismatch("tier points", "accounts", account_id, "50", "51")]


async def test_an_outbox_row_that_nobody_works_on_is_found(engine, sessions):
    async with sessions.begin() as session:
        silent = await make_pass(session, await make_member(session))
        fields = {"program_id": silent.program_id, "wallet": "apple", "wanted_at": NOON, "touched_at": NOON}
        session.add(Update(pass_id=silent.id, wanted_version=1, **fields))

    early = await reconcile(engine, now=NOON, silent_for=timedelta(hours=1))
    late = await reconcile(engine, now=NOON + timedelta(hours=2), silent_for=timedelta(hours=1))

    assert early.mismatches == []
    assert late.mismatches == [Mismatch("outbox silent", "updates", silent.id, "1", "0")]


async def test_a_version_wanted_that_the_pass_does_not_have_is_found(engine, sessions):
    async with sessions.begin() as session:
        issued = await make_pass(session, await make_member(session))
        fields = {"program_id": issued.program_id, "wallet": "apple", "wanted_at": NOON, "touched_at": NOON}
        session.add(Update(pass_id=issued.id, wanted_version=3, sent_version=3, **fields))
        await session.execute(update(Pass).values(version=2))

    assert await found(engine) == [Mismatch("version wanted", "updates", issued.id, "2", "3")]


async def test_every_page_of_accounts_is_looked_at(engine, sessions, entries):
    async with sessions.begin() as session:
        account = await session.get_one(Account, entries["open"].account_id)
        program = await program_of(session, account)
        others = [(await make_account(session, program, balance=1)).id for _ in range(5)]

    mismatches = await found(engine, page=2)

    assert [each.id for each in mismatches if each.kind == "balance"] == sorted(others)


async def test_no_more_mismatches_are_kept_than_the_limit(engine, sessions):
    async with sessions.begin() as session:
        first = await make_account(session, balance=1)
        program = await program_of(session, first)
        rows = [Account(id=f"acc_{n}", program_id=program.id, balance=1, created_at=NOON) for n in range(600)]
        session.add_all(rows)

    assert len(await found(engine, page=400)) == MISMATCHES_MAX
