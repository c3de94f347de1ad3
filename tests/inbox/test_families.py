"""Contacts that the CRM links share one account, whatever their phones."""

from sqlalchemy import select

from app.members.models import Account, Member
from app.points.reconcile import reconcile
from tests.inbox.conftest import PHONE
from tests.make import NOON

CHILDS = "+79160000077"


async def members(services):
    async with services.sessions() as session:
        found = await session.scalars(select(Member).order_by(Member.id))
        return {each.name: each for each in found}


async def balance_of(services, member):
    async with services.sessions() as session:
        return (await session.get_one(Account, member.account_id)).balance


async def test_a_child_with_a_phone_of_its_own_joins_the_account_of_the_linked_contact(sender, services):
    await sender.tell(type="join", contact="c:1", phone=PHONE, name="Анна Петрова")
    await sender.tell(type="points", id="1", contact="c:1", points=5)

    await sender.tell(type="join", contact="c:2", family="c:1", phone=CHILDS, name="Миша")
    await sender.tell(type="points", id="2", contact="c:2", points=7)
    await sender.tell(type="points", id="3", phone=CHILDS, points=1)

    found = await members(services)
    assert found["Миша"].account_id == found["Анна Петрова"].account_id
    assert (found["Миша"].phone, await sender.balance()) == (CHILDS, 13)


async def test_contacts_that_are_linked_later_put_their_points_together(sender, services):
    await sender.tell(type="join", contact="c:1", phone=PHONE, name="Анна Петрова")
    await sender.tell(type="join", contact="c:2", phone=CHILDS, name="Миша")  # brings 50 points
    await sender.tell(type="points", id="1", contact="c:1", points=5)

    for _ in range(2):
        linked = await sender.tell(type="contact", contact="c:2", family="c:1", name="Миша")
        assert linked.state == "handled"

    found = await members(services)
    assert found["Миша"].account_id == found["Анна Петрова"].account_id
    assert await sender.balance() == 55
    assert (await reconcile(services.engine, now=NOON)).mismatches == []


async def test_whoever_joins_on_the_childs_phone_shares_the_familys_account(sender, services):
    await sender.tell(type="join", contact="c:1", phone=PHONE, name="Анна Петрова")
    await sender.tell(type="join", contact="c:2", phone=CHILDS, name="Миша")
    await sender.tell(type="contact", contact="c:2", family="c:1")

    await sender.tell(type="join", contact="c:3", phone=CHILDS, name="Оля")

    found = await members(services)
    assert found["Оля"].account_id == found["Анна Петрова"].account_id
