"""Many at once: conflicting redemptions, equal events, an expiry against a redemption."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from app.db import Sessions, new_id
from app.members.models import Account
from app.points import ledger, movements
from app.points.expire import expire_due
from app.points.models import Entry
from app.points.reconcile import reconcile
from tests.make import NOON, make_account
from tests.points.books import FACTS, balance, make_book, program_of

TASKS = 20
ACCOUNTS = 5
OPENING = 300

Redeem = Callable[[Sessions, str, int, str], Awaitable[None]]


async def redeem(sessions: Sessions, account_id: str, points: int, event: str) -> None:
    """One till: a transaction of its own; a refusal for want of points is an answer like another."""
    try:
        async with sessions.begin() as session:
            await ledger.redeem(session, account_id, points, source_event=event, **FACTS)
    except ledger.NotEnoughPoints:
        pass


async def redeem_naively(sessions: Sessions, account_id: str, points: int, event: str) -> None:
    """The mutant: reads, decides, then writes what it decided. Each step is right, the whole is not."""
    async with sessions() as session:
        known = await session.scalar(select(Entry.id).where(Entry.source_event == event))
        seen = (await session.execute(select(Account).where(Account.id == account_id))).scalar_one()
    if known or seen.balance < points:
        return
    after = seen.balance - points
    async with sessions.begin() as session:
        change = update(Account).where(Account.id == account_id)
        change = change.values(balance=after, sequence=Account.sequence + 1).returning(Account.sequence)
        entry = {
            "id": new_id("ent"),
            "program_id": seen.program_id,
            "account_id": account_id,
            "sequence": (await session.execute(change)).scalar_one(),
            "kind": "redeem",
            "points": -points,
            "balance_after": after,
            "source": "till",
            "source_event": event,
            "at": NOON,
        }
        session.add(Entry(**entry))


async def what_a_storm_breaks(sessions: Sessions, engine, redeem: Redeem) -> Counter[str]:
    """Let 20 tills redeem on 5 accounts at once, a fifth of it repeats; count what is wrong afterwards."""
    async with sessions.begin() as session:
        first = await make_book(session)
        program = await program_of(session, first)
        accounts = [first.id, *[(await make_account(session, program)).id for _ in range(ACCOUNTS - 1)]]
        for account_id in accounts:
            await ledger.open_balance(session, account_id, OPENING, source_event=account_id, **FACTS)
    dice = random.Random(7)
    orders = [(dice.choice(accounts), dice.choice([5, 10, 15, 20]), f"order {n}") for n in range(160)]
    orders += dice.choices(orders, k=40)
    dice.shuffle(orders)

    async def till(number: int) -> None:
        for order in orders[number::TASKS]:
            await redeem(sessions, *order)

    results = await asyncio.gather(*map(till, range(TASKS)), return_exceptions=True)

    wrong = Counter(type(result).__name__ for result in results if isinstance(result, BaseException))
    wrong.update(mismatch.kind for mismatch in (await reconcile(engine, now=NOON)).mismatches)
    return wrong


async def test_conflicting_redemptions_leave_the_books_right(sessions, engine):
    assert await what_a_storm_breaks(sessions, engine, redeem) == {}
    async with sessions() as session:
        spent = -await session.scalar(select(func.sum(Entry.points)).where(Entry.kind == "redeem"))
        left = await session.scalar(select(func.sum(Account.balance)))
    assert spent + left == ACCOUNTS * OPENING
    assert left < ACCOUNTS * 5  # nothing was refused that the balance covered


async def test_the_storm_breaks_an_implementation_that_reads_and_then_writes(sessions, engine):
    wrong = await what_a_storm_breaks(sessions, engine, redeem_naively)

    assert wrong["balance"] + wrong["balance after"] + wrong["IntegrityError"] > 0


@pytest.mark.parametrize("database", ["postgresql"])
async def test_single_steps_leave_the_books_right_on_postgresql_too(sessions, engine, monkeypatch):
    monkeypatch.setattr(movements, "folds", lambda _: False)

    assert await what_a_storm_breaks(sessions, engine, redeem) == {}


async def test_equal_events_at_once_become_one_entry(sessions, engine):
    async with sessions.begin() as session:
        account = await make_book(session)

    async def report(_: int) -> ledger.Posted:
        async with sessions.begin() as session:
            return await ledger.earn(session, account.id, 10, source_event="order 1", **FACTS)

    posted = await asyncio.gather(*map(report, range(8)))

    assert sorted(each.repeated for each in posted) == [False] + [True] * 7
    assert len({each.entry.id for each in posted}) == 1
    assert (await reconcile(engine, now=NOON)).mismatches == []


async def test_a_reversal_at_once_from_two_tills_happens_once(sessions, engine):
    async with sessions.begin() as session:
        account = await make_book(session)
        earned = await ledger.earn(session, account.id, 10, source_event="order 1", **FACTS)
        await ledger.earn(session, account.id, 10, source_event="order 2", **FACTS)

    async def reverse(number: int) -> str:
        try:
            async with sessions.begin() as session:
                await ledger.reverse(session, earned.entry.id, source_event=f"back {number}", **FACTS)
        except ledger.AlreadyReversed:
            return "already"
        return "reversed"

    assert sorted(await asyncio.gather(*map(reverse, range(4)))) == ["already"] * 3 + ["reversed"]
    assert (await reconcile(engine, now=NOON)).mismatches == []


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("database", ["postgresql"])
async def test_an_event_taken_by_another_account_meanwhile_puts_everything_back(
    sessions, engine, monkeypatch, folded
):
    monkeypatch.setattr(movements, "folds", lambda _: folded)
    async with sessions.begin() as session:
        account = await make_book(session)
        other = await make_account(session, await program_of(session, account))

    async with sessions() as first, sessions() as second:
        await ledger.earn(first, account.id, 2000, source_event="order 1", **FACTS)
        late = asyncio.create_task(ledger.earn(second, other.id, 2000, source_event="order 1", **FACTS))
        await somebody_waits(sessions)
        await first.commit()
        with pytest.raises(ledger.SourceEventReused):
            await late
        await ledger.earn(second, other.id, 5, source_event="order 2", **FACTS)
        await second.commit()

    async with sessions() as session:
        assert (await balance(session, account), await balance(session, other)) == (2000, 5)
        other = await session.get_one(Account, other.id)
        silver = text("SELECT id FROM tiers WHERE threshold = 0")
        assert (other.sequence, other.tier_points, other.tier_id) == (1, 5, await session.scalar(silver))
    assert (await reconcile(engine, now=NOON)).mismatches == []


async def somebody_waits(sessions: Sessions) -> None:
    """Until a transaction waits for another's lock (PostgreSQL)."""
    async with asyncio.timeout(10), sessions() as session:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not await session.scalar(waiting):  # noqa: ASYNC110  only the server knows: each turn asks it
            await asyncio.sleep(0)


async def test_an_expiry_and_redemptions_at_once_spend_no_point_twice(sessions, engine):
    async with sessions.begin() as session:
        account = await make_book(session, points_expire_after_days=30)
        for number in range(10):
            await ledger.earn(session, account.id, 10, source_event=f"order {number}", **FACTS)

    async def expire() -> None:
        async with sessions.begin() as session:
            await expire_due(session, limit=100, now=NOON + timedelta(days=30))

    await asyncio.gather(
        *[redeem(sessions, account.id, 7, f"till {number}") for number in range(8)],
        expire(),
        expire(),
        *[redeem(sessions, account.id, 7, f"late till {number}") for number in range(8)],
    )

    async with sessions() as session:
        assert await balance(session, account) == 0
    assert (await reconcile(engine, now=NOON)).mismatches == []
