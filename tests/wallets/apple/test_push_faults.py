"""A push on a broken wire ends in time, is never accepted by nobody, and the next one works."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from app.errors import TemporaryFailure
from app.simulators.apns import ApnsFaults
from app.wallets.apple.push import PushOutcome
from tests.apns import Apns, push_token

PATIENCE_SECONDS = 30  # of the test itself; nothing here comes near it unless it hangs


async def push_all(world: Apns, count: int) -> dict[str, list[str]]:
    """Push to `count` tokens at once. Gives, by "accepted", "gone" and "failed", the tokens."""
    results: dict[str, list[str]] = {"accepted": [], "gone": [], "failed": []}

    async def push(token: str) -> None:
        try:
            result = await world.push.notify_changed(token)
        except TemporaryFailure:
            results["failed"].append(token)
        else:
            results["accepted" if result.outcome is PushOutcome.ACCEPTED else "gone"].append(token)

    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(push(push_token(number)) for number in range(count)))
    return results


async def push_until_accepted(world: Apns, token: str) -> int:
    """As a job does: repeat what failed for now. Gives the number of attempts."""
    for attempt in range(1, 1000):
        try:
            await world.push.notify_changed(token)
        except TemporaryFailure:
            continue
        return attempt
    raise AssertionError("never accepted")


@pytest.mark.parametrize(
    "faults",
    [
        ApnsFaults(goaway_every=50),
        ApnsFaults(goaway_every=50, goaway_is_hard=True),
        ApnsFaults(drop_every=50),
        ApnsFaults(reset_share=0.1),
        ApnsFaults(empty_share=0.1),
        ApnsFaults(busy_share=0.1, unavailable_share=0.1),
        ApnsFaults(goaway_every=70, drop_every=90, reset_share=0.02, empty_share=0.02, busy_share=0.02),
    ],
    ids=lambda faults: str(faults).removeprefix("ApnsFaults"),
)
@pytest.mark.parametrize("latency_seconds", [0.0, (0.001, 0.01)])
async def test_nothing_is_lost_or_invented_when_the_wire_fails(apns, faults, latency_seconds, caplog):
    # A deadline beyond the test's patience: each of these faults is noticed at once, not waited out.
    async with apns(faults=faults, latency_seconds=latency_seconds, deadline_seconds=120) as world:
        results = await push_all(world, 300)
        taken = {push.push_token for push in world.simulator.accepted}

        assert set(results["accepted"]) <= taken
        counts = world.simulator.counts
        assert results["failed"] or counts.connections > 1 or counts.requests > 300, (
            "the fault did not happen"
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(push_until_accepted(world, token) for token in results["failed"]))
        assert {push.push_token for push in world.simulator.accepted} == {push_token(n) for n in range(300)}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_five_hundred_sends_all_end_accepted_though_apns_leaves_every_fifty(apns, client):
    async with apns(faults=ApnsFaults(goaway_every=50), latency_seconds=0.002) as world:
        async with asyncio.timeout(PATIENCE_SECONDS):
            attempts = await asyncio.gather(
                *(push_until_accepted(world, push_token(number)) for number in range(500))
            )

    assert {push.push_token for push in world.simulator.accepted} == {push_token(n) for n in range(500)}
    assert world.simulator.counts.connections >= 10
    assert client == "aioapns" or max(attempts) == 1  # ours sends again what a connection gives back


@pytest.mark.parametrize("client", ["aioapns"])
async def test_a_silent_connection_costs_one_deadline_and_is_then_left(apns):
    async with apns(faults=ApnsFaults(stalled_connections=1), deadline_seconds=1) as world:
        async with asyncio.timeout(4):
            results = await push_all(world, 100)
            again = await push_all(world, 100)

    assert len(results["failed"]) == 100
    assert len(again["accepted"]) == 100
    assert world.simulator.counts.connections == 2


@pytest.mark.parametrize("client", ["wire"])
async def test_what_is_under_way_on_a_silent_connection_is_sent_again_on_another(apns):
    async with apns(faults=ApnsFaults(stalled_connections=1), deadline_seconds=4) as world:
        async with asyncio.timeout(PATIENCE_SECONDS):
            results = await push_all(world, 100)

    assert len(results["accepted"]) == 100
    assert world.simulator.counts.connections == 2


async def test_a_push_that_gets_no_answer_does_not_spoil_its_neighbours(apns, client):
    async with apns(deadline_seconds=1.5) as world:
        world.simulator.ignore(push_token(1))
        results = await push_all(world, 10)

        assert results["failed"] == [push_token(1)]
        assert len(results["accepted"]) == 9
        assert world.simulator.counts.connections == 1
        assert (await world.push.notify_changed(push_token(2))).outcome is PushOutcome.ACCEPTED
        # A library that forgets the stream must leave the connection; ours takes back the stream alone.
        assert world.simulator.counts.connections == (2 if client == "aioapns" else 1)


@asynccontextmanager
async def stranger(says: bytes | None) -> AsyncGenerator[int]:
    """A server that says this and hangs up, or says nothing and stays. Gives its port."""

    class Stranger(asyncio.Protocol):
        def connection_made(self, transport):
            if says is not None:
                transport.write(says)
                transport.close()

    server = await asyncio.get_running_loop().create_server(Stranger, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_never_speaks_costs_one_deadline(apns):
    async with apns(deadline_seconds=0.2) as world, stranger(says=None) as port, asyncio.timeout(2):
        push = world.open_sender(port)
        with pytest.raises(TemporaryFailure, match=r"0\.2 s"):
            await push.notify_changed(push_token(1))
        await push.close()


@pytest.mark.parametrize("says", [b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b""], ids=["not TLS", "nothing"])
async def test_a_server_that_is_no_apns_is_a_failure_for_now(apns, says):
    async with apns() as world, stranger(says) as port:
        push = world.open_sender(port)
        with pytest.raises(TemporaryFailure):
            await push.notify_changed(push_token(1))
        await push.close()


async def test_a_port_where_nobody_listens_is_a_failure_for_now(apns):
    async with apns() as world:
        async with stranger(says=b"") as port:
            pass

        with pytest.raises(TemporaryFailure, match="connection"):
            await world.open_sender(port).notify_changed(push_token(1))


async def test_thousands_of_refusals_do_not_use_up_the_connection(apns):
    async with apns(deadline_seconds=20) as world:
        for number in range(3000):
            world.simulator.unregister(push_token(number))
        results = await push_all(world, 3000)

        assert len(results["gone"]) == 3000
        assert (await world.push.notify_changed(push_token(9999))).outcome is PushOutcome.ACCEPTED
        assert world.simulator.counts.connections == 1


async def test_more_sends_than_the_connection_has_streams_wait_their_turn(apns):
    async with apns(latency_seconds=0.001, deadline_seconds=20) as world:
        results = await push_all(world, 2500)

    assert len(results["accepted"]) == len(world.simulator.accepted) == 2500
    assert world.simulator.counts.connections == 1


async def test_a_cancelled_send_does_not_disturb_the_others(apns):
    async with apns(latency_seconds=0.5) as world:
        sends = [asyncio.create_task(world.push.notify_changed(push_token(n))) for n in range(50)]
        await until(lambda: world.simulator.counts.requests == len(sends))
        for send in sends[::2]:
            send.cancel()
        results = await asyncio.gather(*sends, return_exceptions=True)

        assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
        assert all(result.outcome is PushOutcome.ACCEPTED for result in results[1::2])


@pytest.mark.parametrize("turns", range(5))
async def test_sends_cancelled_while_the_connection_goes_do_not_keep_the_others_waiting(apns, turns, caplog):
    async with apns(latency_seconds=60) as world:
        sends = [asyncio.create_task(world.push.notify_changed(push_token(n))) for n in range(20)]
        await until(lambda: world.simulator.counts.requests == len(sends))
        closing = asyncio.create_task(world.push.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        for send in sends[::2]:
            send.cancel()
        async with asyncio.timeout(2):
            results = await asyncio.gather(*sends, return_exceptions=True)
            await closing

    assert all(isinstance(result, TemporaryFailure) for result in results[1::2])
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_closing_ends_what_is_under_way_and_leaves_no_task(apns, caplog):
    async with apns(latency_seconds=60) as world:
        sends = [asyncio.create_task(world.push.notify_changed(push_token(n))) for n in range(20)]
        await until(lambda: world.simulator.counts.requests == len(sends))
        async with asyncio.timeout(2):
            await world.push.close()
            results = await asyncio.gather(*sends, return_exceptions=True)

        assert all(isinstance(result, TemporaryFailure) for result in results)
        with pytest.raises(TemporaryFailure, match="closed"):
            await world.push.notify_changed(push_token(1))
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the condition belongs to the simulator)
            await asyncio.sleep(0)
