"""What lost webhooks missed is found by the poller; at night both books are compared as a whole."""

from sqlalchemy import select

from app.deals import reconciliation
from app.deals.models import Reconciliation
from app.job_queue import kinds
from app.simulators.bitrix24 import Plan
from tests.bitrix24.conftest import School


def lose_everything(school: School, *, lost: float = 1.0) -> None:
    school.portal.calls.plan = Plan(lost=lost)


async def poll(school: School) -> None:
    await school.run(kinds.BITRIX24_POLL)
    await school.settle()


async def report(school: School) -> Reconciliation:
    await school.run(kinds.BITRIX24_RECONCILE)
    async with school.services.sessions() as session:
        query = select(Reconciliation).order_by(Reconciliation.id.desc()).limit(1)
        return (await session.scalars(query)).one()


async def test_the_poller_finds_what_was_lost_once(school: School):
    anna = school.add_client()
    await school.issue(anna)
    lose_everything(school)
    deals = [school.won(100, anna) for _ in range(60)]  # more than a page
    await poll(school)
    assert await school.balance() == 500 + 60 * 5

    school.clock.tick(600)
    school.portal.edit_deal(deals[3], amount=300)
    school.portal.lose(deals[4])
    await poll(school)
    await poll(school)

    assert await school.balance() == 500 + 60 * 5 + 10 - 5


async def test_two_edits_in_one_second_are_not_missed(school: School):
    """Their events are alike, so the second is taken for a repetition of the first."""
    anna = school.add_client()
    await school.issue(anna)
    deal = school.won(1_000, anna)
    await school.portal.calls.deliver()
    await school.work()
    school.portal.edit_deal(deal, amount=2_000)
    await school.portal.calls.deliver()
    await school.work()

    await poll(school)

    assert await school.balance() == 500 + 100


async def test_the_poller_leaves_alone_what_rests(school: School):
    school.won(1_000, school.add_client())
    await school.settle()
    (resting,) = {each.reason for each in await school.resting()}

    before = len(await school.resting())
    await poll(school)

    assert (resting, len(await school.resting())) == ("unknown_contact", before)


async def test_the_night_matches_corrects_and_disputes(school: School):
    anna = school.add_client()
    stranger = school.add_client("Пётр", "+7 916 765-43-21")
    olga = school.add_client("Ольга", "+7 916 000-00-77")
    await school.issue(anna)
    await school.issue(olga)
    school.won(1_000, anna)
    deleted = school.won(2_000, anna)
    await school.settle()
    lose_everything(school)
    missed = school.won(4_000, anna)
    nobody = school.won(8_000, stranger)
    school.portal.delete_deal(deleted)
    olga.fields["UF_CRM_PASSBELL_BALANCE"] = 9_999

    found = await report(school)
    await school.settle()

    lines = {each["what"]: (each["result"], each["points"], each["reason"]) for each in found.lines}
    assert lines == {
        f"deal:{missed.id}": ("corrected", 200, ""),
        f"deal:{deleted.id}": ("corrected", -100, ""),
        f"deal:{nobody.id}": ("disputed", 0, "unknown_contact"),
        f"contact:{olga.id}": ("corrected", 0, ""),
    }
    assert (found.matched, found.corrected, found.disputed) == (1, 3, 1)
    assert await school.balance() == 500 + 50 + 200
    assert [str(each.fields["UF_CRM_PASSBELL_BALANCE"]) for each in (anna, olga)] == ["750", "500"]
    again = await report(school)
    assert (again.corrected, again.disputed) == (0, 1)


async def test_a_report_is_safe_to_open_in_a_spreadsheet(school: School):
    hostile = reconciliation.Line("disputed", "deal:1", '=HYPERLINK("http://x")', "+1", -5, "@x")
    async with school.services.sessions.begin() as session:
        kept = await reconciliation.keep(
            session, school.source, matched=0, lines=[hostile], now=school.clock()
        )

    row = reconciliation.as_csv(kept).splitlines()[1]

    assert row == """disputed,deal:1,"'=HYPERLINK(""http://x"")",'+1,-5,'@x"""
