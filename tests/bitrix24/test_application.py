"""Passbell as a local application of the portal: tokens, robots, texts onto the pass."""

import pytest
from sqlalchemy import select

from app.deals.models import Portal as PortalRow
from app.inbox.models import InboundEvent
from app.job_queue import kinds
from app.members.models import Member, Message
from app.passes.models import Pass, Registration, Update
from app.simulators.bitrix24 import Plan
from tests.bitrix24.conftest import School

# What differs between the databases is tried by the processes, the gaps and the tab.
pytestmark = pytest.mark.parametrize("database", ["sqlite"])


async def test_installing_registers_robots_provider_tab_fields_and_events(school: School):
    school.portal.userfields.clear()
    await school.install()

    app = school.portal.app
    assert set(app.robots) == {"passbell_issue", "passbell_adjust", "passbell_accrue", "passbell_check"}
    assert set(app.senders) == {"passbell"}
    assert app.placements == {"CRM_DEAL_DETAIL_TAB": f"{school.url}/bitrix24/school/deal"}
    assert len(school.portal.userfields) == 4
    await school.run(kinds.BITRIX24_SET_UP)  # what is there already stays


async def test_a_token_is_renewed_when_its_hour_is_over(school: School):
    anna = school.add_client()
    await school.install()
    await school.issue(anna)
    school.portal.webhook_secret = "not the way in any more"
    before = set(school.portal.app.access)
    school.clock.tick(3601)

    school.won(10_000, anna)
    await school.settle()

    assert await school.balance() == 1000
    assert set(school.portal.app.access) - before
    async with school.services.sessions() as session:
        (row,) = (await session.scalars(select(PortalRow))).all()
    assert row.sealed_tokens is not None
    assert not any(token.encode() in row.sealed_tokens for token in school.portal.app.access)


async def test_the_inbox_keeps_no_token_of_the_portal(school: School):
    await school.install()
    await school.issue(school.add_client())

    tokens = {school.portal.application_token, *school.portal.app.access, *school.portal.app.refresh}
    async with school.services.sessions() as session:
        kept = (await session.scalars(select(InboundEvent))).all()

    assert len(kept) >= 3
    for event in kept:
        assert not [token for token in tokens if token in event.url or token.encode() in event.body]


async def test_an_application_that_was_thrown_out_says_so_and_comes_back(school: School):
    anna = school.add_client()
    await school.issue(anna)
    await school.install()
    school.portal.app.refresh.clear()
    school.portal.webhook_secret = "not the way in any more"
    school.clock.tick(3601)
    school.won(10_000, anna)
    await school.settle()
    assert {each.reason for each in await school.resting()} == {"portal_access_ended"}

    school.portal.install(f"{school.hook}/{school.portal.application_token}")
    await school.settle()
    await school.replay()

    assert await school.balance() == 1000


async def test_the_robots_do_the_four_processes_and_return_values(school: School):
    anna = school.add_client()
    deal = school.portal.add_deal(10_000, anna)
    await school.install()
    document = f"DEAL_{deal.id}"

    async def run(code: str, **properties: str) -> dict[str, str]:
        token = school.portal.run_robot(code, document, properties)
        await school.settle()
        (answer,) = (each for each in school.said("bizproc.event.send") if each["EVENT_TOKEN"] == token)
        return dict(answer["RETURN_VALUES"])

    nothing = await run("passbell_check")
    issued = await run("passbell_issue", opening_points="300")
    added = await run("passbell_adjust", points="100", reason="День рождения")
    school.portal.win(deal)
    earned = await run("passbell_accrue")
    spent = await run("passbell_adjust", points="-200", reason="Оплата")
    refused = await run("passbell_adjust", points="-9000", reason="Оплата")

    assert (nothing["has_card"], nothing["error"]) == ("N", "")
    assert (issued["has_card"], issued["balance"]) == ("Y", "300")
    assert (added["balance"], earned["balance"], spent["balance"]) == ("400", "900", "700")
    assert earned["redeemable"] == "900"  # at most half of the deal, and no more than there is
    assert refused["balance"] == "700"
    assert "9000" in refused["error"]
    kinds_posted = [(each.kind, each.points) for each in await school.entries()]
    assert kinds_posted == [("opening", 300), ("earn", 100), ("earn", 500), ("redeem", -200)]


async def test_a_robot_that_the_portal_runs_twice_moves_points_once(school: School):
    anna = school.add_client()
    await school.issue(anna)
    await school.install()
    school.portal.run_robot("passbell_adjust", f"CONTACT_{anna.id}", {"points": "100"})
    school.portal.calls.repeat_last()

    await school.settle()

    assert await school.balance() == 600


async def hold(school: School) -> str:
    """A phone adds the one member's pass; the pass's id."""
    async with school.services.sessions.begin() as session:
        (issued,) = (await session.scalars(select(Pass))).all()
        session.add(
            Registration(
                device_library_identifier="phone",
                pass_id=issued.id,
                program_id=issued.program_id,
                push_service="apns",
                push_token="ab" * 32,
                registered_at=school.clock(),
                seen_at=school.clock(),
            )
        )
    return issued.id


async def test_a_text_of_the_portal_goes_onto_the_pass_and_costs_no_sms(school: School):
    anna = school.add_client()
    await school.issue(anna)
    await school.install()
    pass_id = await hold(school)

    school.portal.send_sms("passbell", "8 916 123 45 67", "Турнир в субботу в 12:00")
    school.portal.calls.repeat_last()
    await school.settle()

    async with school.services.sessions.begin() as session:
        issued = await session.get_one(Pass, pass_id)
        assert issued.message == "Турнир в субботу в 12:00"
        assert [each.purpose for each in await session.scalars(select(Message))] == ["pass_link"]
        for update in await session.scalars(select(Update).where(Update.pass_id == pass_id)):
            update.sent_version = update.wanted_version
    args = {"text_id": school.said("messageservice.message.status.update")[-1]["MESSAGE_ID"]}
    await school.run(kinds.BITRIX24_REPORT_TEXT, **args)

    statuses = [each["STATUS"] for each in school.said("messageservice.message.status.update")]
    assert statuses == ["queued", "delivered"]


async def test_without_a_phone_that_holds_the_pass_the_text_goes_by_sms(school: School):
    anna = school.add_client()
    await school.issue(anna)
    await school.install()

    school.portal.send_sms("passbell", "+79161234567", "Турнир в субботу")
    await school.settle()

    texts = await school.texts()
    assert [each.text for each in texts][1:] == ["Турнир в субботу"]
    async with school.services.sessions() as session:
        (member,) = (await session.scalars(select(Member))).all()
    assert texts[1].member_id == member.id
    assert school.said("messageservice.message.status.update")[-1]["STATUS"] == "sent"


async def test_tokens_that_come_late_do_not_replace_newer_ones(school: School):
    await school.install()
    school.portal.calls.plan = Plan(delayed=1.0)
    school.portal.send_sms("passbell", "+79161234567", "late")
    school.portal.calls.plan = Plan()
    school.clock.tick(3000)
    school.portal.send_sms("passbell", "+79161234567", "in time")
    await school.settle()
    school.portal.calls.release()
    await school.settle()
    school.clock.tick(1000)  # the late token has ended, the newer one has not
    before = set(school.portal.app.refresh)

    await school.run(kinds.BITRIX24_SET_UP)

    assert set(school.portal.app.refresh) == before


async def test_a_portal_cannot_empty_the_purse_with_texts(school: School):
    await school.install()

    for number in range(7):
        school.portal.send_sms("passbell", "+7 916 765-43-21", f"Текст {number}")
        await school.settle()

    assert len(await school.texts()) == 5
    assert {each.reason for each in await school.resting()} == {"too_many"}
