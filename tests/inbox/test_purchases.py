"""The points of a purchase follow what it is worth."""

from sqlalchemy import select

from app.points.models import Entry
from tests.inbox.conftest import PHONE


async def order(sender, amount, **event):
    return await sender.tell(type="order", order=7, phone=PHONE, amount=amount, **event)


async def entries(sender):
    async with sender.services.sessions() as session:
        return [
            (each.kind, each.points) for each in await session.scalars(select(Entry).order_by(Entry.sequence))
        ]


async def test_an_order_earns_by_the_tier_and_ten_edits_post_the_differences(sender):
    for amount in ("1000", "1 000,00", 1200, 1200, "900.00"):
        assert (await order(sender, amount)).state == "handled"

    assert await sender.balance() == 45
    assert await entries(sender) == [
        ("earn", 50),
        ("earn", 10),
        ("earn", 45),
        ("reverse", -10),
        ("reverse", -50),
    ]


async def test_a_lost_deal_is_reversed_and_may_be_won_again(sender):
    await order(sender, 1000)
    await order(sender, 0)
    assert await sender.balance() == 0

    await order(sender, 2000)

    assert await sender.balance() == 100


async def test_a_late_report_does_not_undo_a_newer_one(sender):
    await order(sender, 2000, at="2030-06-03T12:00:01+00:00")
    late = await order(sender, 1000, at="2030-06-03T12:00:00+00:00")

    assert (late.state, await sender.balance()) == ("handled", 100)


async def test_a_lower_amount_never_dips_below_what_remains(sender):
    await order(sender, 2000)
    await sender.tell(type="spend", id="pay", phone=PHONE, points=-40)

    assert (await order(sender, 1000)).state == "handled"

    assert await sender.balance() == 10


async def test_what_was_spent_is_not_taken_back(sender):
    await order(sender, 2000)
    await sender.tell(type="spend", id="pay", phone=PHONE, points=-90)

    lost = await order(sender, 0)

    assert (lost.reason, await sender.balance()) == ("not_enough_points", 10)


async def test_a_return_lowers_a_purchase_once(sender):
    await order(sender, 2000)
    for _ in range(2):
        await sender.tell(type="return", order=7, id="r1", amount="500")
    too_much = await sender.tell(type="return", order=7, id="r2", amount="1600")

    assert (await sender.balance(), too_much.reason) == (75, "returned_too_much")


async def test_a_purchase_too_small_for_a_point_earns_none(sender):
    assert (await order(sender, "19.99")).state == "handled"
    assert await entries(sender) == []

    await order(sender, "20.00")

    assert await sender.balance() == 1
