"""The Android wallets' push services, asked over HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from app.errors import PermanentFailure, TemporaryFailure
from app.simulators.android_push import AndroidPushed, AndroidPushSimulator
from app.simulators.serving import serve
from app.wallets.apple.android_push import open_pass2u_push, open_walletpasses_push
from app.wallets.apple.push import PassPushers, PushOutcome, PushRejected, PushTarget
from tests.apns import TOPIC

KEY = "key"


@dataclass(frozen=True)
class World:
    simulator: AndroidPushSimulator
    pushers: PassPushers


@asynccontextmanager
async def android(*, key: str = KEY, deadline_seconds: float = 5) -> AsyncGenerator[World]:
    simulator = AndroidPushSimulator(walletpasses_api_key=KEY, pass2u_api_key=KEY)
    async with serve(simulator.app) as url:
        pushers = PassPushers(
            apns=None,
            walletpasses=open_walletpasses_push(
                topic=TOPIC, url=url, api_key=key, deadline_seconds=deadline_seconds
            ),
            pass2u=open_pass2u_push(topic=TOPIC, url=url, api_key=key, deadline_seconds=deadline_seconds),
        )
        try:
            yield World(simulator, pushers)
        finally:
            await pushers.close()


services = pytest.mark.parametrize("service", ["walletpasses", "pass2u"])


@services
async def test_a_push_reaches_the_device_that_registered_with_the_service(service):
    async with android() as world:
        heard = []
        world.simulator.on_push(service, "APA91b:Hv-U_", heard.append)
        result = await world.pushers.notify(PushTarget(service, "APA91b:Hv-U_"))

    assert result.outcome is PushOutcome.ACCEPTED
    assert heard == world.simulator.accepted == [AndroidPushed(service, TOPIC, "APA91b:Hv-U_")]


async def test_walletpasses_works_without_a_key():
    async with android(key="") as world:
        await world.pushers.notify(PushTarget("walletpasses", "t"))

    assert len(world.simulator.accepted) == 1


@services
async def test_a_wrong_key_stops_the_sending(service):
    async with android(key="wrong") as world:
        with pytest.raises(PushRejected, match="API key") as failure:
            await world.pushers.notify(PushTarget(service, "t"))

    assert failure.value.reason == "HTTP 403"
    assert world.simulator.accepted == []


@services
@pytest.mark.parametrize(
    ("status", "headers", "expected", "wait"),
    [
        (401, {}, PushRejected, None),
        (400, {}, PermanentFailure, None),
        (404, {}, PermanentFailure, None),
        (429, {}, TemporaryFailure, 60),
        (429, {"retry-after": "7"}, TemporaryFailure, 7),
        (429, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, TemporaryFailure, 60),
        (500, {}, TemporaryFailure, None),
        (503, {"retry-after": "5"}, TemporaryFailure, 5),
    ],
)
async def test_each_refusal_has_its_failure_and_the_next_push_works(service, status, headers, expected, wait):
    async with android() as world:
        world.simulator.answer_next(status, headers)
        with pytest.raises(expected) as failure:
            await world.pushers.notify(PushTarget(service, "t"))

        assert type(failure.value) is expected
        assert getattr(failure.value, "retry_after_seconds", None) == wait
        assert (await world.pushers.notify(PushTarget(service, "t"))).outcome is PushOutcome.ACCEPTED


@services
@pytest.mark.parametrize("token", ["", "a" * 5000])
async def test_a_token_that_is_none_is_given_up_without_asking(service, token):
    async with android() as world:
        result = await world.pushers.notify(PushTarget(service, token))

    assert result.outcome is PushOutcome.DEVICE_GONE
    assert world.simulator.accepted == []


@services
async def test_a_device_that_is_gone_is_said_to_be_gone(service):
    async with android() as world:
        world.simulator.answer_next(410)

        result = await world.pushers.notify(PushTarget(service, "t"))

    assert result.outcome is PushOutcome.DEVICE_GONE


async def test_a_service_that_never_answers_costs_one_deadline():
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    async with server, asyncio.timeout(2):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        push = open_walletpasses_push(topic=TOPIC, url=url, api_key=None, deadline_seconds=0.2)
        with pytest.raises(TemporaryFailure):
            await push.notify_changed("t")
        await push.close()


async def test_a_service_that_answers_drop_by_drop_costs_one_deadline():
    class Dripping(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(b"HTTP/1.1 200 OK\r\n")
            self.drip(transport)

        def drip(self, transport):
            if not transport.is_closing():
                transport.write(b"x: y\r\n")
                asyncio.get_running_loop().call_later(0.02, self.drip, transport)

    server = await asyncio.get_running_loop().create_server(Dripping, "127.0.0.1", 0)
    async with server, asyncio.timeout(2):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        push = open_walletpasses_push(topic=TOPIC, url=url, api_key=None, deadline_seconds=0.2)
        with pytest.raises(TemporaryFailure):
            await push.notify_changed("t")
        await push.close()
