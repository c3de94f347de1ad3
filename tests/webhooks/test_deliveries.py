"""Deliveries are signed, tried ten times, and given up where nobody answers for five days."""

import pytest
from sqlalchemy import select

from app.jobs.send_webhooks import send_webhook
from app.members.models import Notice
from app.webhooks import endpoints
from app.webhooks.deliveries import WAITS_SECONDS
from tests.make import NOON, make_account
from tests.webhooks.test_events import earn


@pytest.fixture
async def moved(services, listening):
    """Points moved while the endpoint listens."""
    async with services.sessions.begin() as session:
        await earn(session, await make_account(session, listening.program))
    return listening


async def test_an_event_is_delivered_signed_and_as_the_specification_has_it(moved, receiver):
    await moved.work()
    await moved.work()

    ((headers, body),) = receiver.requests
    (delivery,) = await moved.deliveries()
    assert receiver.are_signed(moved.secret)
    assert not receiver.are_signed("whsec_" + "A" * 44)
    assert headers["webhook-id"] == delivery.event_id
    assert headers["content-type"] == "application/json"
    (event,) = receiver.events
    assert (event["type"], event["timestamp"]) == ("transaction.posted", "2030-06-03T12:00:00+00:00")
    assert event["data"]["points"] == 100
    assert len(body) < 20_000
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)


async def test_a_failing_receiver_is_tried_ten_times_under_one_id(moved, receiver, clock, services):
    receiver.status = 500
    waits = []
    for _ in range(12):
        await moved.work()
        (delivery,) = await moved.deliveries()
        if delivery.next_at is None:
            break
        waits.append((delivery.next_at - clock.now).total_seconds())
        clock.now = delivery.next_at

    assert [given <= wait <= given * 1.1 for given, wait in zip(WAITS_SECONDS, waits, strict=True)] == [
        True
    ] * 9
    assert (delivery.state, delivery.attempts, len(receiver.requests)) == ("failed", 10, 10)
    assert len({(headers["webhook-id"], body) for headers, body in receiver.requests}) == 1

    receiver.status = 200
    async with services.sessions.begin() as session:
        await endpoints.resend(session, moved.program.id, delivery.id, now=clock.now)
    await moved.work()

    assert (await moved.deliveries())[0].state == "delivered"
    assert (await moved.now()).failing_since is None


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_receiver_that_asks_for_time_gets_it(moved, receiver, clock):
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}

    await moved.work()

    (delivery,) = await moved.deliveries()
    assert (delivery.next_at - clock.now).total_seconds() == 3600


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_redirect_is_a_failure_and_is_not_followed(moved, receiver):
    receiver.status, receiver.headers = 302, {"Location": f"{receiver.url}/elsewhere"}

    await moved.work()

    (delivery,) = await moved.deliveries()
    assert (delivery.state, delivery.status, len(receiver.requests)) == ("waiting", 302, 1)


async def test_an_endpoint_that_is_gone_is_called_no_more_and_the_manager_is_told(
    moved, receiver, services, clock
):
    receiver.status = 410

    await moved.work()
    clock.tick(10)
    await moved.work()

    endpoint = await moved.now()
    assert (endpoint.state, len(receiver.requests)) == ("disabled", 1)
    async with services.sessions() as session:
        assert list(await session.scalars(select(Notice.kind))) == ["webhook.disabled"]


async def test_after_five_days_of_failures_an_endpoint_is_disabled_and_enabled_gets_what_waited(
    moved, receiver, services, clock
):
    receiver.status = 503
    await moved.work()
    clock.tick(5 * 86_400)
    await moved.work()
    assert (await moved.now()).disabled_because == "every delivery failed for five days"

    receiver.status = 200
    async with services.sessions.begin() as session:
        await endpoints.change(session, moved.endpoint, state="active", may_be_plain=True, now=clock.now)
    await moved.work()

    assert (await moved.deliveries())[0].state == "delivered"


@pytest.mark.parametrize("database", ["sqlite"])
async def test_nobody_at_the_address_is_a_failure_like_any_other(services, listen):
    listening = await listen(url="http://127.0.0.1:9/in")
    async with services.sessions.begin() as session:
        await endpoints.try_out(session, listening.endpoint, now=NOON)

    await listening.work()

    (delivery,) = await listening.deliveries()
    assert (delivery.state, delivery.status, delivery.attempts) == ("waiting", None, 1)
    assert delivery.error


@pytest.mark.parametrize("database", ["sqlite"])
async def test_for_a_day_after_a_rotation_both_secrets_verify(moved, receiver, services, clock):
    async with services.sessions.begin() as session:
        fresh = await endpoints.rotate(session, services.secret_key, moved.endpoint, now=NOON)
    await moved.work()
    assert (receiver.are_signed(moved.secret), receiver.are_signed(fresh)) == (True, True)

    receiver.requests.clear()
    clock.tick(86_401)
    async with services.sessions.begin() as session:
        await endpoints.try_out(session, moved.endpoint, now=clock.now)
    await moved.work()

    assert receiver.are_signed(fresh, clock.now)
    assert not receiver.are_signed(moved.secret, clock.now)


async def test_who_fetches_gets_every_event_until_it_is_acknowledged(services, listen):
    listening = await listen(url=None)
    async with services.sessions.begin() as session:
        account = await make_account(session, listening.program)
        for number in range(3):
            await earn(session, account, event=str(number))
    async with services.sessions.begin() as session:
        first = await endpoints.feed(session, listening.endpoint, limit=2)
        acknowledged = [
            await endpoints.acknowledge(session, listening.endpoint, [each.id for each in first], now=NOON)
            for _ in range(2)
        ]
        left = await endpoints.feed(session, listening.endpoint, limit=10)

    assert [each.data["source_event"] for each in (*first, *left)] == ["0", "1", "2"]
    assert acknowledged == [2, 0]


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_job_for_what_is_delivered_already_sends_nothing(moved, receiver, services):
    await moved.work()
    (delivery,) = await moved.deliveries()

    await send_webhook(services, {"delivery_id": delivery.id})

    assert len(receiver.requests) == 1
