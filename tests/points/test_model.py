"""The ledger against a model of it in plain Python: a few hundred random steps must never tell them apart.

Every run makes the same choices (derandomized); a failure prints the program that shows it.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from app.db import open_engine, open_sessions
from app.members.models import Account, Tier
from app.points import ledger, movements
from app.points.expire import expire_due
from app.points.models import Lot
from app.points.reconcile import reconcile
from app.points.tiers import retier_due
from tests.make import NOON, make_account
from tests.points.books import make_book, program_of

EXPIRE_DAYS = 30
PERIOD_DAYS = 45
GOLD_FROM = 1000  # as make_book has it

which = st.integers(0, 1)
points = st.one_of(st.integers(1, 60), st.integers(200, 900))


@dataclass
class Line:
    """An entry, and what it took from which lot (by the sequence of the lot's entry)."""

    id: str
    event: str
    account: int
    kind: str
    points: int
    at: datetime
    taken: dict[int, int] = field(default_factory=dict)
    reversed: bool = False


@dataclass
class Book:
    """An account as the model has it."""

    id: str
    balance: int = 0
    lines: list[Line] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)  # by sequence of the entry that made the lot
    expires: dict[int, datetime] = field(default_factory=dict)
    counted: dict[str, Line] = field(default_factory=dict)  # earnings that count towards the tier

    def take(self, amount: int, first: int | None = None) -> dict[int, int]:
        taken = {}
        for lot in sorted(self.left, key=lambda lot: (lot != first, self.expires[lot], lot)):
            part = min(self.left[lot], amount - sum(taken.values()))
            if part:
                taken[lot] = part
                self.left[lot] -= part
        return taken


class LedgerAgainstModel(RuleBasedStateMachine):
    def __init__(self, database_url: str, runner: asyncio.Runner) -> None:
        super().__init__()
        self.runner = runner
        self.engine = open_engine(database_url)
        self.sessions = open_sessions(self.engine)
        self.now = NOON
        self.steps = 0
        self.books = [Book(id) for id in self.run(self.open_books())]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def open_books(self) -> list[str]:
        async with self.sessions.begin() as session:
            first = await make_book(
                session, points_expire_after_days=EXPIRE_DAYS, tier_period_days=PERIOD_DAYS
            )
            return [first.id, (await make_account(session, await program_of(session, first))).id]

    async def call(self, act: Any, target: str, *amount: int, event: str) -> ledger.Posted | Exception:
        """What the ledger answers, in a transaction of its own."""
        try:
            async with self.sessions.begin() as session:
                return await act(
                    session, target, *amount, reason="", source="model", source_event=event, now=self.now
                )
        except (ledger.NotEnoughPoints, ledger.CannotReverse, ledger.AlreadyReversed) as error:
            return error
        except ledger.SourceEventReused as error:
            return error

    def post(self, act: Any, target: str, *amount: int) -> tuple[str, ledger.Posted | Exception]:
        self.steps += 1
        self.now += timedelta(minutes=1)
        event = f"step {self.steps}"
        return event, self.run(self.call(act, target, *amount, event=event))

    def record(self, account: int, event: str, posted: Any, kind: str, change: int) -> Line:
        assert isinstance(posted, ledger.Posted), posted
        book = self.books[account]
        book.balance += change
        line = Line(posted.entry.id, event, account, kind, change, self.now)
        book.lines.append(line)
        assert (posted.entry.sequence, posted.entry.points) == (len(book.lines), change)
        assert posted.entry.balance_after == book.balance
        return line

    @rule(account=which, points=points)
    def earn(self, account: int, points: int) -> None:
        book = self.books[account]
        event, posted = self.post(ledger.earn, book.id, points)
        line = self.record(account, event, posted, "earn", points)
        self.open_lot(book, points)
        book.counted[line.id] = line

    @rule(account=which, points=points)
    def redeem(self, account: int, points: int) -> None:
        self.spend(ledger.redeem, account, points, "redeem", points)

    @rule(account=which, points=points, sign=st.sampled_from([1, -1]))
    def adjust(self, account: int, points: int, sign: int) -> None:
        if sign < 0:
            self.spend(ledger.adjust, account, points, "adjust", -points)
            return
        event, posted = self.post(ledger.adjust, self.books[account].id, points)
        self.record(account, event, posted, "adjust", points)
        self.open_lot(self.books[account], points)

    def open_lot(self, book: Book, points: int) -> None:
        book.left[len(book.lines)] = points
        book.expires[len(book.lines)] = self.now + timedelta(days=EXPIRE_DAYS)

    def spend(self, act: Any, account: int, points: int, kind: str, argument: int) -> None:
        book = self.books[account]
        event, posted = self.post(act, book.id, argument)
        if points > book.balance:
            assert isinstance(posted, ledger.NotEnoughPoints), posted
            assert (posted.balance, posted.asked) == (book.balance, points)
            return
        line = self.record(account, event, posted, kind, -points)
        line.taken = book.take(points)

    @precondition(lambda self: any(book.lines for book in self.books))
    @rule(data=st.data())
    def reverse_any(self, data: st.DataObject) -> None:
        self.reverse(data.draw(st.sampled_from([line for book in self.books for line in book.lines])))

    @precondition(lambda self: any(book.counted for book in self.books))
    @rule()
    def reverse_the_newest_earning(self) -> None:
        earnings = [line for book in self.books for line in book.counted.values()]
        self.reverse(max(earnings, key=lambda line: line.at))

    def reverse(self, original: Line) -> None:
        book = self.books[original.account]
        event, posted = self.post(ledger.reverse, original.id)
        if original.kind in ("reverse", "expire"):
            assert isinstance(posted, ledger.CannotReverse), posted
        elif original.reversed:
            assert isinstance(posted, ledger.AlreadyReversed), posted
        elif original.points > book.balance:
            assert isinstance(posted, ledger.NotEnoughPoints), posted
        else:
            line = self.record(original.account, event, posted, "reverse", -original.points)
            original.reversed = True
            book.counted.pop(original.id, None)
            if original.points > 0:
                line.taken = book.take(original.points, first=book.lines.index(original) + 1)
            else:
                for lot, part in original.taken.items():
                    book.left[lot] += part

    @rule(data=st.data(), more=st.integers(0, 1))
    def report_again(self, data: st.DataObject, more: int) -> None:
        lines = [line for book in self.books for line in book.lines if line.kind in ("earn", "adjust")]
        if not lines:
            return
        line = data.draw(st.sampled_from(lines))
        act = ledger.earn if line.kind == "earn" else ledger.adjust
        again = self.call(act, self.books[line.account].id, line.points + 1000 * more, event=line.event)
        posted = self.run(again)
        if more:
            assert isinstance(posted, ledger.SourceEventReused), posted
            assert posted.first.id == line.id
        else:
            assert isinstance(posted, ledger.Posted), posted
            assert (posted.repeated, posted.entry.id) == (True, line.id)

    @rule(days=st.integers(0, 40))
    def night(self, days: int) -> None:
        """Days pass; then what is due expires, and the tiers' period moves on."""
        self.now += timedelta(days=days)
        self.run(self.nightly_jobs())
        for number, book in enumerate(self.books):
            due = [lot for lot, left in book.left.items() if left and book.expires[lot] <= self.now]
            for lot in sorted(due, key=lambda lot: (book.expires[lot], lot)):
                left, book.left[lot] = book.left[lot], 0
                book.balance -= left
                book.lines.append(Line("", "", number, "expire", -left, self.now))
            start = self.now - timedelta(days=PERIOD_DAYS)
            book.counted = {id: line for id, line in book.counted.items() if line.at > start}

    async def nightly_jobs(self) -> None:
        for job in (expire_due, retier_due):
            while True:
                async with self.sessions.begin() as session:
                    if not await job(session, limit=3, now=self.now):
                        break

    @invariant()
    def ledger_and_model_agree(self) -> None:
        self.run(self.compare())

    async def compare(self) -> None:
        async with self.sessions() as session:
            for book in self.books:
                account = await session.get_one(Account, book.id)
                tier = await session.get(Tier, account.tier_id) if account.tier_id else None
                remaining = select(Lot.sequence, Lot.remaining).where(Lot.account_id == book.id)
                left = {sequence: left for sequence, left in await session.execute(remaining)}
                lines = list(reversed(await ledger.history(session, book.id, limit=500)))
                assert account.balance == book.balance
                assert left == book.left
                expected = [(line.kind, line.points) for line in book.lines]
                assert [(line.kind, line.points) for line in lines] == expected
                for line, known in zip(book.lines, lines, strict=True):
                    line.id = known.id
                earned = sum(line.points for line in book.counted.values())
                assert account.tier_points == earned
                if tier is not None:
                    assert tier.code == ("gold" if earned >= GOLD_FROM else "silver")

    def teardown(self) -> None:
        report = self.run(reconcile(self.engine, now=self.now))
        self.run(self.engine.dispose())
        assert report.mismatches == []


@pytest.mark.parametrize(
    ("database", "folded"), [("sqlite", False), ("postgresql", True), ("postgresql", False)]
)
def test_the_ledger_agrees_with_a_model_of_it(database_url, monkeypatch, folded):
    monkeypatch.setattr(movements, "folds", lambda _: folded)
    with asyncio.Runner() as runner:
        run_state_machine_as_test(
            lambda: LedgerAgainstModel(database_url, runner),
            settings=settings(
                max_examples=10,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],  # shrinking takes minutes on a real database
                suppress_health_check=list(HealthCheck),
            ),
        )
