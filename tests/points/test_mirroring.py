"""Balances that follow each other, where a programme says so: one event moves each card of a phone once."""

import asyncio

from sqlalchemy import select

from app.enrolment.submit import Joining, join
from app.inbox import persons
from app.members.models import Account, Member
from app.points import ledger, mirroring
from app.points.models import Entry
from app.points.reconcile import reconcile
from app.wiring import TEXTS, load_texts
from tests.make import NOON, make_account, make_program

PHONE = "+79161234567"
SAID = {"reason": "", "source": "crm", "now": NOON}


async def family(session, *names, balances="mirrored"):
    """Members on one phone, as a form enrols them."""
    program = await make_program(session, balances=balances)
    for name in names:
        joining = Joining(name=name, phone=PHONE, email=None, birthday=None, language="en", answers={})
        await join(session, program, joining, texts=load_texts(TEXTS), now=NOON)
    query = (
        select(Account).join(Member, Member.account_id == Account.id).where(Member.program_id == program.id)
    )
    return program, list((await session.scalars(query.order_by(Member.id))).unique())


async def balances_of(session, accounts):
    found = dict((row.id, row.balance) for row in await session.execute(select(Account.id, Account.balance)))
    return [found[each.id] for each in accounts]


async def test_a_family_shares_one_account_unless_the_programme_mirrors(session):
    _, shared = await family(session, "Mother", "Child", balances="shared")
    assert len({each.id for each in shared}) == 1


async def test_what_moves_one_card_of_a_phone_moves_all_once(session):
    program, accounts = await family(session, "Mother", "Child", "Grandmother", "Child")
    assert len(accounts) == 3  # who comes again is known by name
    mother, child, _ = accounts
    stranger = await make_account(session, program)

    for _ in range(2):  # an event that is told twice
        earned = await ledger.earn(session, child.id, 100, source_event="1", **SAID)
    await ledger.redeem(session, mother.id, 30, source_event="2", **SAID)
    assert await balances_of(session, [*accounts, stranger]) == [70, 70, 70, 0]

    await ledger.adjust(session, mother.id, 30, source_event="given back", **SAID)
    await ledger.reverse(session, earned.entry.id, source_event="3", **SAID)
    assert await balances_of(session, accounts) == [0, 0, 0]
    copies = (await session.scalars(select(Entry).where(Entry.source == mirroring.SOURCE))).all()
    assert {each.source_event.partition(":")[0] for each in copies} >= {earned.entry.id}


async def test_an_account_that_has_less_gives_what_it_has(session):
    _, (mother, child) = await family(session, "Mother", "Child")
    await ledger.open_balance(session, mother.id, 50, source_event="opening", **SAID)
    assert await balances_of(session, [mother, child]) == [50, 0]  # what one brought along is hers

    await ledger.redeem(session, mother.id, 20, source_event="1", **SAID)
    assert await balances_of(session, [mother, child]) == [30, 0]


async def test_a_reversal_takes_from_a_copy_what_is_left_of_it(sessions):
    async with sessions.begin() as session:
        _, (mother, child) = await family(session, "Mother", "Child")
        earned = await ledger.earn(session, mother.id, 100, source_event="1", **SAID)
        await mirroring.post_and_tell(
            session, ledger.plain_movement("redeem", child.id, 60, source_event="before", **SAID)
        )  # as before the programme mirrored: of this account only
        await ledger.reverse(session, earned.entry.id, source_event="2", **SAID)

        assert await balances_of(session, [mother, child]) == [0, 0]
    report = await reconcile(sessions.kw["bind"], now=NOON)
    assert report.mismatches == []


async def test_two_tills_at_once_leave_all_balances_equal(sessions):
    async with sessions.begin() as session:
        _, accounts = await family(session, "Mother", "Child")

    async def till(account, number):
        async with sessions.begin() as session:
            await ledger.earn(session, account.id, 10, source_event=f"{account.id}:{number}", **SAID)

    await asyncio.gather(*(till(account, number) for account in accounts for number in range(5)))

    async with sessions() as session:
        assert await balances_of(session, accounts) == [100, 100]
        report = await reconcile(sessions.kw["bind"], now=NOON)
    assert report.mismatches == []


async def test_a_crm_finds_a_member_by_name_among_the_accounts_of_a_phone(session):
    program, accounts = await family(session, "Mother", "Child")

    account, members = await persons.on_phone(session, program, PHONE)

    assert account is not None
    assert [each.account_id for each in members] == [each.id for each in accounts]
