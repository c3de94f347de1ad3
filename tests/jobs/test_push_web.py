"""Browsers that keep a web card are told what changed on it: through the door, over a real socket."""

import asyncio

import pytest
from sqlalchemy import select, update

from app.errors import TemporaryFailure
from app.job_queue import kinds as kinds_of_jobs
from app.jobs.push_web import push_web, sweep
from app.members.models import Account, Program
from app.passes import outbox, trace, versions
from app.passes.issue import make_link
from app.passes.models import Update, WebSubscription
from app.settings import Settings
from app.simulators.serving import serve
from app.simulators.web_push import WebPushSimulator
from tests.make import NOON, make_account, make_issued


@pytest.fixture
async def service():
    simulator = WebPushSimulator()
    async with serve(simulator.app) as url:
        simulator.url = url
        yield simulator


@pytest.fixture
def app_settings(app_settings: Settings, service) -> Settings:
    return app_settings.model_copy(update={"web_push_hosts": [service.url.removeprefix("http://")]})


@pytest.fixture
async def issued(services):
    async with services.sessions.begin() as session:
        return await make_issued(session, await make_account(session, balance=5))


@pytest.fixture
async def card(services, issued) -> str:
    async with services.sessions.begin() as session:
        return f"/p/{await make_link(session, issued, now=NOON)}/card"


async def subscribe(client, card, service, *, language="en"):
    browser = service.open_browser()
    answer = await client.post(f"{card}/subscription?lang={language}", json=browser.subscription())
    assert answer.status_code == 204, answer.text
    return browser


async def change(services, issued, *, balance: int | None = None, message: str | None = None) -> None:
    async with services.sessions.begin() as session:
        if balance is not None:
            await session.execute(update(Account).values(balance=balance))
        await versions.mark_changed(
            session, issued.program_id, [issued.id], because={}, now=NOON, message=message
        )


async def kinds(services, issued) -> list[str]:
    async with services.sessions() as session:
        return [each.kind for each in await trace.story(session, issued.id)]


async def owed(services) -> int:
    async with services.sessions() as session:
        row = (await session.scalars(select(Update).where(Update.wallet == "web"))).one()
        return row.wanted_version - row.sent_version


async def test_a_change_of_the_balance_is_told_in_the_words_of_the_card_and_in_its_language(
    services, client, card, issued, service
):
    english = await subscribe(client, card, service)
    russian = await subscribe(client, card, service, language="ru")

    await change(services, issued, balance=1250)
    await push_web(services, {"pass_id": issued.id})

    assert [each["body"] for each in english.shown] == ["Your balance is now 1,250 points"]
    assert [each["body"] for each in russian.shown] == ["На вашем счёте баллов: 1\N{NO-BREAK SPACE}250"]
    assert english.shown[0]["title"] == "Coffee House"
    assert await owed(services) == 0
    assert (await kinds(services, issued))[-2:] == ["push_accepted", "push_accepted"]


async def test_ten_changes_before_a_push_are_told_once_and_a_second_run_tells_nothing(
    services, client, card, issued, service
):
    browser = await subscribe(client, card, service)

    for balance in range(10, 20):
        await change(services, issued, balance=balance)
    for _ in range(2):
        await push_web(services, {"pass_id": issued.id})

    assert [each["body"] for each in browser.shown] == ["Your balance is now 19 points"]


async def test_news_are_told_and_a_change_without_words_is_not(services, client, card, issued, service):
    browser = await subscribe(client, card, service)

    await change(services, issued)
    await push_web(services, {"pass_id": issued.id})
    assert browser.shown == []
    assert await owed(services) == 0

    await change(services, issued, message="Double points on Sunday")
    await push_web(services, {"pass_id": issued.id})
    assert [each["body"] for each in browser.shown] == ["Double points on Sunday"]


async def test_a_browser_that_is_gone_is_forgotten_with_a_line_in_the_story(
    services, client, card, issued, service
):
    browser = await subscribe(client, card, service)
    browser.is_gone = True

    await change(services, issued, balance=6)
    await push_web(services, {"pass_id": issued.id})

    async with services.sessions() as session:
        assert (await session.scalars(select(WebSubscription))).all() == []
    assert "uninstalled" in await kinds(services, issued)
    assert await owed(services) == 0


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_after_a_failure_only_who_was_not_told_is_told_again(
    services, client, card, issued, service, status
):
    browsers = [await subscribe(client, card, service) for _ in range(2)]
    service.answer_next(status)

    await change(services, issued, balance=7)
    with pytest.raises(TemporaryFailure):
        await push_web(services, {"pass_id": issued.id})
    assert await owed(services) == 1
    await push_web(services, {"pass_id": issued.id})

    assert [len(browser.shown) for browser in browsers] == [1, 1]
    assert await owed(services) == 0


async def test_a_push_refused_for_good_is_noted_and_not_tried_again(services, client, card, issued, service):
    browser = await subscribe(client, card, service)
    service.answer_next(413)

    await change(services, issued, balance=7)
    await push_web(services, {"pass_id": issued.id})
    await push_web(services, {"pass_id": issued.id})

    assert browser.shown == []
    assert "push_refused" in await kinds(services, issued)
    assert await owed(services) == 0


async def test_when_our_name_is_refused_all_pushes_pause_and_stay_owed(
    services, client, card, issued, service, clock
):
    browser = await subscribe(client, card, service)
    service.answer_next(403)

    await change(services, issued, balance=7)
    for _ in range(2):
        with pytest.raises(TemporaryFailure):
            await push_web(services, {"pass_id": issued.id})
    assert service.requests == 1
    clock.tick(301)
    await push_web(services, {"pass_id": issued.id})

    assert len(browser.shown) == 1


async def test_two_workers_tell_a_browser_once(services, client, card, issued, service):
    browser = await subscribe(client, card, service)
    await change(services, issued, balance=7)

    results = await asyncio.gather(
        *(push_web(services, {"pass_id": issued.id}) for _ in range(2)), return_exceptions=True
    )

    assert all(result is None or isinstance(result, TemporaryFailure) for result in results)
    assert len(browser.shown) == 1


async def test_what_an_accident_left_is_found_by_the_sweep(services, client, card, issued, service, clock):
    await subscribe(client, card, service)
    await change(services, issued, balance=7)
    async with services.sessions.begin() as session:
        await outbox.take(session, issued.id, "web", now=NOON)  # and the worker dies

    clock.tick(3600)
    await sweep(services)

    async with services.sessions() as session:
        assert await session.scalar(select(Update.queued).where(Update.wallet == "web"))


async def test_the_bell_can_be_rung_off_and_on_again(services, client, card, issued, service):
    browser = await subscribe(client, card, service)
    for _ in range(2):
        gone = await client.request("DELETE", f"{card}/subscription", json={"endpoint": browser.endpoint})
        assert gone.status_code == 204

    await change(services, issued, balance=6)
    await push_web(services, {"pass_id": issued.id})
    assert service.requests == 0

    await client.post(f"{card}/subscription?lang=en", json=browser.subscription())
    await change(services, issued, balance=8)
    await push_web(services, {"pass_id": issued.id})

    assert [each["body"] for each in browser.shown] == ["Your balance is now 8 points"]
    assert [each for each in await kinds(services, issued) if "install" in each] == [
        "installed",
        "uninstalled",
        "installed",
    ]


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(
    "endpoint",
    [
        "https://169.254.169.254/latest/meta-data",
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com.example.com/x",
        "https://example.com#fcm.googleapis.com",
        "https://user@127.0.0.1:1/x",
        "file:///etc/passwd",
        "http://[",
        "",
    ],
)
async def test_no_address_but_a_push_services_is_ever_called(client, card, service, endpoint):
    body = service.open_browser().subscription() | {"endpoint": endpoint}

    assert (await client.post(f"{card}/subscription", json=body)).status_code == 422


@pytest.mark.parametrize("database", ["sqlite"])
async def test_the_eleventh_browser_takes_the_place_of_the_first(services, client, card, service, clock):
    for _ in range(11):
        await subscribe(client, card, service)
        clock.tick(1)

    async with services.sessions() as session:
        known = set((await session.scalars(select(WebSubscription.endpoint))).all())
    assert known == {each.endpoint for each in list(service.browsers.values())[1:]}


async def test_a_campaign_keeps_quiet_hours_and_a_purchase_does_not(services, client, card, issued, service):
    browser = await subscribe(client, card, service)
    async with services.sessions.begin() as session:
        await session.execute(update(Program).values(quiet_hours="00:00-23:59"))
        await versions.mark_changed(
            session,
            issued.program_id,
            [issued.id],
            because={},
            message="Sale",
            priority=kinds_of_jobs.BULK,
            now=NOON,
        )

    await push_web(services, {"pass_id": issued.id})
    assert browser.shown == []
    assert await owed(services) == 0
    assert (await kinds(services, issued))[-1] == "web_silent"

    await change(services, issued, balance=9)
    await push_web(services, {"pass_id": issued.id})
    assert [each["body"] for each in browser.shown] == ["Your balance is now 9 points"]
