"""Earning, redeeming, adjusting and reversing: what each does, and what each refuses."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Member, Program, Tier
from app.passes.models import Pass
from app.points import ledger
from app.points.models import Entry, Lot
from tests.make import NOON, make_account, make_member, make_pass
from tests.points.books import FACTS, balance, lots, make_book

LATER = NOON + timedelta(hours=1)


async def test_points_earned_are_in_the_balance_and_in_a_lot_that_expires(session):
    account = await make_book(session, points_expire_after_days=30)

    posted = await ledger.earn(session, account.id, 120, source_event="1", **FACTS)

    assert (posted.entry.points, posted.entry.balance_after, posted.entry.sequence) == (120, 120, 1)
    assert await balance(session, account) == 120
    lot = (await session.scalars(select(Lot))).one()
    assert (lot.entry_id, lot.points, lot.remaining) == (posted.entry.id, 120, 120)
    assert lot.expires_at == NOON + timedelta(days=30)


async def test_points_never_expire_where_the_programme_does_not_say_when(session):
    account = await make_book(session, points_expire_after_days=None)

    await ledger.earn(session, account.id, 120, source_event="1", **FACTS)

    assert (await session.scalars(select(Lot.expires_at))).one() is None


async def test_what_expires_first_is_spent_first_and_then_what_is_oldest(session):
    account = await make_book(session, points_expire_after_days=None)
    await ledger.earn(session, account.id, 10, source_event="never, old", **FACTS)
    await ledger.earn(session, account.id, 10, source_event="never, young", **FACTS)
    await session.execute(update(Program).values(points_expire_after_days=30))
    await ledger.earn(session, account.id, 10, source_event="later", **FACTS | {"now": LATER})
    await ledger.earn(session, account.id, 10, source_event="sooner", **FACTS)

    left = []
    for number in range(4):
        await ledger.redeem(session, account.id, 9, source_event=f"r{number}", **FACTS)
        left.append(await lots(session, account))

    assert left == [[10, 10, 10, 1], [10, 10, 2, 0], [3, 10, 0, 0], [0, 4, 0, 0]]


async def test_an_entry_remembers_what_it_was_told(session):
    account = await make_book(session)
    member = await make_member(session, account)

    posted = await ledger.earn(
        session, account.id, 5, reason="Latte", source="till", source_event="4", member_id=member.id, now=NOON
    )

    assert posted.entry == await ledger.entry(session, posted.entry.id)
    assert (posted.entry.reason, posted.entry.source, posted.entry.source_event) == ("Latte", "till", "4")
    assert (posted.entry.member_id, posted.entry.at, posted.entry.tier_points) == (member.id, NOON, 5)


async def test_an_event_reported_again_changes_nothing_and_gives_the_first_entry(session):
    account = await make_book(session)
    first = await ledger.earn(session, account.id, 50, source_event="1", **FACTS)
    await ledger.redeem(session, account.id, 20, source_event="2", **FACTS)

    again = await ledger.earn(
        session, account.id, 50, source_event="1", **FACTS | {"now": LATER, "reason": "other words"}
    )

    assert (first.repeated, again.repeated) == (False, True)
    assert again.entry == first.entry
    assert await balance(session, account) == 30
    assert await lots(session, account) == [30]


async def test_two_programmes_may_use_the_same_event_id(session):
    one, other = await make_book(session), await make_book(session)

    await ledger.earn(session, one.id, 5, source_event="1", **FACTS)
    posted = await ledger.earn(session, other.id, 7, source_event="1", **FACTS)

    assert not posted.repeated


@pytest.mark.parametrize("change", ["points", "kind", "account"])
async def test_an_event_id_used_for_something_else_is_refused_and_names_the_first(session, change):
    account = await make_book(session)
    other = await make_account(session, await session.get_one(Program, account.program_id))
    first = await ledger.earn(session, account.id, 50, source_event="1", **FACTS)

    post = ledger.adjust if change == "kind" else ledger.earn
    points = 51 if change == "points" else 50
    target = other if change == "account" else account
    with pytest.raises(ledger.SourceEventReused) as refusal:
        await post(session, target.id, points, source_event="1", **FACTS)

    assert refusal.value.first == first.entry
    assert await balance(session, account) == 50
    assert await balance(session, other) == 0


Act = Callable[[AsyncSession, str], Awaitable[Any]]


def of(act: Callable[..., Awaitable[Any]], points: int, **facts: Any) -> Act:
    values = {"source_event": "new"} | FACTS | facts
    return lambda session, account_id: act(session, account_id, points, **values)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (of(ledger.redeem, 101), ledger.NotEnoughPoints),
        (of(ledger.adjust, -101), ledger.NotEnoughPoints),
        (of(ledger.earn, 0), ledger.PointsOutOfRange),
        (of(ledger.earn, -5), ledger.PointsOutOfRange),
        (of(ledger.redeem, 0), ledger.PointsOutOfRange),
        (of(ledger.redeem, -5), ledger.PointsOutOfRange),
        (of(ledger.adjust, 0), ledger.PointsOutOfRange),
        (of(ledger.open_balance, -1), ledger.PointsOutOfRange),
        (of(ledger.earn, 2**53 + 1), ledger.PointsOutOfRange),
        (of(ledger.earn, 2**53), ledger.PointsOutOfRange),  # with the hundred already there
        (of(ledger.adjust, -(2**53) - 1), ledger.PointsOutOfRange),
        (of(ledger.earn_for_purchase, 0), ledger.PointsOutOfRange),
        (of(ledger.earn_for_purchase, 2**60), ledger.PointsOutOfRange),
        (of(ledger.earn, 5, member_id="mem_stranger"), ledger.UnknownMember),
        (of(ledger.adjust, 5, member_id="mem_stranger"), ledger.UnknownMember),
        (of(ledger.earn, 5, program_id="prg_other"), ledger.UnknownAccount),
        (of(ledger.earn_for_purchase, 5000, program_id="prg_other"), ledger.UnknownAccount),
        (of(ledger.earn, 5, source=""), ledger.BadFact),
        (of(ledger.earn, 5, source_event=""), ledger.BadFact),
        (of(ledger.earn, 5, source_event="x" * 129), ledger.BadFact),
        (of(ledger.earn, 5, reason="x" * 257), ledger.BadFact),
        (of(ledger.earn, 5, reason="a\0b"), ledger.BadFact),
        (lambda s, _: ledger.redeem(s, "acc_none", 1, source_event="new", **FACTS), ledger.UnknownAccount),
        (lambda s, _: ledger.reverse(s, "ent_none", source_event="new", **FACTS), ledger.UnknownEntry),
    ],
)
async def test_what_is_refused_changes_nothing(session, act, error):
    account = await make_book(session)
    await make_member(session, account)
    await ledger.adjust(session, account.id, 100, source_event="start", **FACTS)

    with pytest.raises(error):
        await act(session, account.id)

    assert await balance(session, account) == 100
    assert await lots(session, account) == [100]
    assert await session.scalar(select(func.count()).select_from(Entry)) == 1


async def test_a_refusal_says_the_balance_and_what_was_asked(session):
    account = await make_book(session)
    await ledger.earn(session, account.id, 30, source_event="1", **FACTS)

    with pytest.raises(ledger.NotEnoughPoints) as refusal:
        await ledger.redeem(session, account.id, 31, source_event="2", **FACTS)

    assert (refusal.value.balance, refusal.value.asked) == (30, 31)


async def test_a_blocked_member_neither_earns_nor_redeems_but_is_corrected(session):
    account = await make_book(session)
    blocked = await make_member(session, account, state="blocked")

    for act, member_id in ((ledger.earn, blocked.id), (ledger.earn, None), (ledger.redeem, blocked.id)):
        with pytest.raises(ledger.MemberBlocked):
            await act(session, account.id, 5, source_event="1", member_id=member_id, **FACTS)
    await ledger.adjust(session, account.id, 7, source_event="2", member_id=blocked.id, **FACTS)

    assert await balance(session, account) == 7


async def test_a_blocked_child_does_not_stop_the_mother_on_the_same_account(session):
    account = await make_book(session)
    mother = await make_member(session, account)
    child = await make_member(session, account, state="blocked")

    await ledger.earn(session, account.id, 5, source_event="1", member_id=mother.id, **FACTS)
    await ledger.earn(session, account.id, 5, source_event="2", **FACTS)
    with pytest.raises(ledger.MemberBlocked):
        await ledger.earn(session, account.id, 5, source_event="3", member_id=child.id, **FACTS)

    assert await balance(session, account) == 10


async def test_a_member_unblocked_again_earns(session):
    account = await make_book(session)
    member = await make_member(session, account, state="blocked")

    await session.execute(update(Member).where(Member.id == member.id).values(state="active"))
    await ledger.earn(session, account.id, 5, source_event="1", member_id=member.id, **FACTS)

    assert await balance(session, account) == 5


async def test_a_reversed_redemption_gives_its_points_back_to_their_lots(session):
    account = await make_book(session)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    await ledger.earn(session, account.id, 10, source_event="2", **FACTS)
    spent = await ledger.redeem(session, account.id, 15, source_event="3", **FACTS)

    posted = await ledger.reverse(session, spent.entry.id, source_event="4", **FACTS)

    assert (posted.entry.kind, posted.entry.points) == ("reverse", 15)
    assert posted.entry.reverses_id == spent.entry.id
    assert await lots(session, account) == [10, 10]
    assert await balance(session, account) == 20


async def test_a_reversed_earning_takes_its_own_lot_first_and_the_rest_from_others(session):
    account = await make_book(session)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    wrong = await ledger.earn(session, account.id, 10, source_event="2", **FACTS)
    await ledger.redeem(session, account.id, 14, source_event="3", **FACTS)  # leaves 6 of the second lot
    await ledger.earn(session, account.id, 10, source_event="4", **FACTS)

    await ledger.reverse(session, wrong.entry.id, source_event="5", **FACTS)

    assert await lots(session, account) == [0, 0, 6]
    assert await balance(session, account) == 6


async def test_an_untouched_earning_is_reversed_out_of_its_own_lot_not_the_oldest(session):
    account = await make_book(session)
    await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    wrong = await ledger.earn(session, account.id, 10, source_event="2", **FACTS)

    await ledger.reverse(session, wrong.entry.id, source_event="3", **FACTS)

    assert await lots(session, account) == [10, 0]


async def test_an_earning_whose_points_are_spent_cannot_be_reversed(session):
    account = await make_book(session)
    earned = await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    await ledger.redeem(session, account.id, 4, source_event="2", **FACTS)

    with pytest.raises(ledger.NotEnoughPoints):
        await ledger.reverse(session, earned.entry.id, source_event="3", **FACTS)

    assert await lots(session, account) == [6]


async def test_an_entry_is_reversed_once_and_a_reversal_never(session):
    account = await make_book(session)
    earned = await ledger.earn(session, account.id, 10, source_event="1", **FACTS)
    first = await ledger.reverse(session, earned.entry.id, source_event="2", **FACTS)

    again = await ledger.reverse(session, earned.entry.id, source_event="2", **FACTS)
    with pytest.raises(ledger.AlreadyReversed) as refusal:
        await ledger.reverse(session, earned.entry.id, source_event="3", **FACTS)
    with pytest.raises(ledger.CannotReverse):
        await ledger.reverse(session, first.entry.id, source_event="4", **FACTS)

    assert again.repeated
    assert refusal.value.by == first.entry.id
    assert await balance(session, account) == 0


async def test_a_purchase_earns_by_the_rate_of_the_tier(session):
    account = await make_book(session)

    small = await ledger.earn_for_purchase(session, account.id, 19999, source_event="1", **FACTS)
    await ledger.earn(session, account.id, 1000, source_event="2", **FACTS)
    golden = await ledger.earn_for_purchase(session, account.id, 19999, source_event="3", **FACTS)

    assert small is not None
    assert golden is not None
    assert (small.entry.points, golden.entry.points) == (9, 19)
    assert golden.entry.amount_minor_units == 19999


async def test_a_purchase_too_small_for_a_point_earns_nothing(session):
    account = await make_book(session)

    assert await ledger.earn_for_purchase(session, account.id, 1999, source_event="1", **FACTS) is None
    assert await balance(session, account) == 0


async def test_a_purchase_reported_again_after_a_change_of_tier_is_a_repeat(session):
    account = await make_book(session)
    first = await ledger.earn_for_purchase(session, account.id, 100_000, source_event="1", **FACTS)
    await ledger.earn(session, account.id, 1000, source_event="2", **FACTS)

    again = await ledger.earn_for_purchase(session, account.id, 100_000, source_event="1", **FACTS)
    with pytest.raises(ledger.SourceEventReused):
        await ledger.earn_for_purchase(session, account.id, 99_999, source_event="1", **FACTS)

    assert first is not None
    assert again == ledger.Posted(first.entry, repeated=True)


async def test_a_purchase_without_any_tier_says_what_is_missing(session):
    account = await make_account(session)

    with pytest.raises(ledger.NoEarningRate, match="threshold 0"):
        await ledger.earn_for_purchase(session, account.id, 100_000, source_event="1", **FACTS)


async def test_the_tier_follows_what_is_earned_and_ignores_adjustments_and_redemptions(session):
    account = await make_book(session)
    tier = select(Tier.code).join(Account, Account.tier_id == Tier.id).where(Account.id == account.id)
    codes = []

    await ledger.adjust(session, account.id, 5000, source_event="1", **FACTS)
    codes.append(await session.scalar(tier))
    earned = await ledger.earn(session, account.id, 999, source_event="2", **FACTS)
    codes.append(await session.scalar(tier))
    await ledger.earn(session, account.id, 1, source_event="3", **FACTS)
    codes.append(await session.scalar(tier))
    await ledger.redeem(session, account.id, 900, source_event="4", **FACTS)
    codes.append(await session.scalar(tier))
    await ledger.reverse(session, earned.entry.id, source_event="5", **FACTS)
    codes.append(await session.scalar(tier))

    assert codes == [None, "silver", "gold", "gold", "silver"]


async def test_a_movement_changes_every_pass_of_the_account_once(session):
    account = await make_book(session)
    passes = [await make_pass(session, await make_member(session, account)) for _ in range(2)]
    stranger = await make_pass(session)

    await ledger.earn(session, account.id, 5, source_event="1", **FACTS)
    await ledger.earn(session, account.id, 5, source_event="1", **FACTS)

    versions = {row.id: row.version for row in await session.execute(select(Pass.id, Pass.version))}
    assert versions == {passes[0].id: 2, passes[1].id: 2, stranger.id: 1}


async def test_history_is_read_in_pages_newest_first(session):
    account = await make_book(session)
    for number in range(1, 6):
        await ledger.earn(session, account.id, number, source_event=str(number), **FACTS)

    first = await ledger.history(session, account.id, limit=2)
    second = await ledger.history(session, account.id, before=first[-1].sequence, limit=2)
    last = await ledger.history(session, account.id, before=second[-1].sequence, limit=2)

    assert [entry.points for page in (first, second, last) for entry in page] == [5, 4, 3, 2, 1]
    with pytest.raises(ValueError, match="1 to 500"):
        await ledger.history(session, account.id, limit=501)


async def test_an_account_added_but_not_flushed_is_known_to_the_ledger(session):
    account = await make_book(session)
    session.add(Account(id="acc_new", program_id=account.program_id, created_at=NOON))

    posted = await ledger.open_balance(session, "acc_new", 70, source_event="1", **FACTS)

    assert (posted.entry.kind, posted.entry.balance_after) == ("opening", 70)


async def test_an_account_whose_sequence_is_damaged_refuses_to_move(session):
    account = await make_book(session)
    await ledger.earn(session, account.id, 5, source_event="1", **FACTS)
    await session.execute(update(Account).where(Account.id == account.id).values(sequence=0))

    with pytest.raises(RuntimeError, match="passbell reconcile"):
        await ledger.earn(session, account.id, 5, source_event="2", **FACTS)

    assert await balance(session, account) == 5
