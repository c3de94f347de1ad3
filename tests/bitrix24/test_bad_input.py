"""What cannot be carried out rests with a reason a manager understands, and goes on once that is mended."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from app.crm.bitrix24.rest import NoJson
from app.inbox.models import InboundEvent
from app.inbox.reasons import text_of
from app.jobs.handle_inbound import handle_inbound
from app.simulators.bitrix24 import Contact
from tests.bitrix24.conftest import School


def win(amount: str = "10000", **more: str) -> Callable[[School, Contact], object]:
    return lambda school, contact: school.won(amount, contact, **more)


def win_for_nobody(school: School, _contact: Contact) -> object:
    deal = school.portal.add_deal(10_000)
    school.portal.win(deal)
    return deal


async def correct(school: School, **values: object) -> None:
    (deal,) = school.portal.deals.values()
    school.portal.edit_deal(deal, **values)


async def add_phone(school: School) -> None:
    (contact,) = school.portal.contacts.values()
    school.portal.edit_contact(contact, phones=("+7 916 123-45-67",))
    await school.settle()
    await school.issue(contact)


async def issue_card(school: School) -> None:
    await school.issue(next(iter(school.portal.contacts.values())))


async def add_contact(school: School) -> None:
    await correct(school, contacts=(1,))


@pytest.mark.parametrize(
    ("phone", "has_card", "happens", "reason", "says", "mend"),
    [
        ("+79161234567", False, win(), "unknown_contact", "+79161234567", issue_card),
        ("", False, win(), "no_phone", "contact:1", add_phone),
        ("12-34", False, win(), "bad_phone", "12-34", add_phone),
        ("+79161234567", True, win_for_nobody, "no_person", "", add_contact),
        ("+79161234567", True, win(currency="USD"), "foreign_currency", "USD", "RUB"),
        ("+79161234567", True, win("-5"), "negative_amount", "-5", "amount"),
    ],
)
async def test_a_deal_rests_with_its_reason_and_earns_once_that_is_mended(
    school: School,
    phone: str,
    has_card: bool,
    happens: Callable[[School, Contact], object],
    reason: str,
    says: str,
    mend: str | Callable[[School], Awaitable[None]],
):
    anna = school.portal.add_contact("Анна Петрова", *([phone] if phone else []))
    if has_card:
        await school.issue(anna)
    happens(school, anna)
    await school.settle()

    resting = await school.resting()
    assert {each.reason for each in resting} == {reason}
    words = text_of(school.services.texts, "ru", reason, resting[-1].details)
    assert says in words
    assert words in school.said("im.notify.system.add")[-1]["MESSAGE"]

    if callable(mend):
        await mend(school)
    else:
        await correct(school, **({"currency": "RUB"} if mend == "RUB" else {"amount": 10_000}))
    await school.replay()

    assert await school.balance() == 500 + 500
    assert await school.resting() == []


async def test_a_web_page_for_an_answer_rests_at_last_and_is_replayed(school: School):
    anna = school.add_client()
    await school.issue(anna)
    school.portal.answers_html = 1
    school.won(10_000, anna)
    await school.settle()
    assert [each.reason for each in await school.resting()] == ["gave_up"]

    await school.replay()

    assert await school.balance() == 1000


async def test_three_web_pages_in_a_row_are_said_in_words(school: School):
    anna = school.add_client()
    await school.issue(anna)
    school.portal.add_deal(10_000, anna)
    school.portal.answers_html = 3
    await school.portal.calls.deliver()
    async with school.services.sessions() as session:
        query = select(InboundEvent.id).where(InboundEvent.state == "received")
        (event_id,) = (await session.scalars(query)).all()

    for _ in range(2):
        with pytest.raises(NoJson):
            await handle_inbound(school.services, {"event_id": event_id})
    await handle_inbound(school.services, {"event_id": event_id})

    assert [each.reason for each in await school.resting()] == ["portal_no_answer"]


async def test_an_access_that_ended_is_said_and_mended_by_a_new_webhook(school: School):
    anna = school.add_client()
    await school.issue(anna)
    secret, school.portal.webhook_secret = school.portal.webhook_secret, "another"
    school.won(10_000, anna)
    await school.settle()
    assert {each.reason for each in await school.resting()} == {"portal_access_ended"}

    school.portal.webhook_secret = secret
    await school.replay()

    assert await school.balance() == 1000


async def test_spent_points_cannot_be_taken_back_and_the_manager_hears_of_it(school: School):
    anna = school.add_client()
    await school.issue(anna)
    deal = school.won(10_000, anna)
    await school.settle()
    robot = f"CONTACT_{anna.id}"
    await school.install()
    school.portal.run_robot("passbell_adjust", robot, {"points": "-900", "reason": "Оплата"})
    await school.settle()

    school.portal.lose(deal)
    await school.settle()

    (resting,) = await school.resting()
    assert resting.reason == "not_enough_points"
    assert await school.balance() == 100
    assert "100" in school.said("im.notify.system.add")[-1]["MESSAGE"]


FORGED = (
    "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&ts=1",
    "event=ONCRMDEALUPDATE&data[FIELDS][ID]=1&ts=1&auth[application_token]=wrong",
    "event=ONCRMDEALUPDATE&auth=wrong",
    "auth[application_token][x]=1",
    "%ff%fe=1&auth[application_token]=%ff",
    "",
)


async def test_a_forged_event_is_told_nothing_and_kept_nowhere(school: School):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [
        await school.http.post(f"/hooks/school{path}", content=forged, headers=headers)
        for path in ("", "/wrong", f"/{school.portal.application_token[:-1]}")
        for forged in FORGED
    ]

    assert {each.status_code for each in answers} == {401}
    assert len({each.json()["detail"] for each in answers}) == 1
    assert not await school.work()


async def test_an_event_of_something_else_is_taken_and_changes_nothing(school: School):
    school.portal.subscribe("ONTASKADD", school.hook)
    school.portal.tell("ONTASKADD", 5)

    await school.settle()

    assert school.portal.calls.statuses == [202]
    assert await school.resting() == []
