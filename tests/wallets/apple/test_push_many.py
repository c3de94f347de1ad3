"""Many pushes at once: each is answered exactly once, whatever the wire does, and none is lost."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import TemporaryFailure
from app.simulators.apns import ApnsFaults
from app.wallets.apple.push import PushOutcome, PushRejected, PushResult
from tests.apns import Apns, push_token

PATIENCE_SECONDS = 60  # of the test itself; nothing here comes near it unless it hangs
TOKENS = [push_token(number) for number in range(600)]
EVERY = 200  # requests of a connection, a third of them

FAULTS = {
    "none": ApnsFaults(),
    "a goodbye every so often": ApnsFaults(goaway_every=EVERY),
    "a goodbye that answers nothing more": ApnsFaults(goaway_every=EVERY, goaway_is_hard=True),
    "connections cut": ApnsFaults(drop_every=EVERY),
    "silent connections": ApnsFaults(stalled_connections=3),
    "refused connections": ApnsFaults(refused_connections=5),
    "streams reset": ApnsFaults(reset_share=0.05),
    "empty answers": ApnsFaults(empty_share=0.05),
    "busy": ApnsFaults(busy_share=0.05, unavailable_share=0.05),
    "few streams": ApnsFaults(streams=10),
    "one stream": ApnsFaults(streams=1),
    "all at once": ApnsFaults(
        goaway_every=300, drop_every=170, reset_share=0.02, busy_share=0.02, refused_connections=1, streams=90
    ),
}


class Heard:
    """What became of each push, as it was called back."""

    def __init__(self) -> None:
        self.results: list[tuple[str, PushResult | TemporaryFailure]] = []

    def __call__(self, push_token: str, result: PushResult | TemporaryFailure) -> None:
        self.results.append((push_token, result))

    def tokens(self, outcome: PushOutcome) -> list[str]:
        return [token for token, result in self.results if getattr(result, "outcome", None) is outcome]

    @property
    def failed(self) -> list[str]:
        return [token for token, result in self.results if isinstance(result, TemporaryFailure)]


async def push_many(world: Apns, tokens=TOKENS) -> Heard:
    heard = Heard()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await world.push.notify_many(tokens, heard)
    return heard


@pytest.mark.parametrize("client", ["wire"])
@pytest.mark.parametrize(
    ("fault", "token_mode"),
    [*((fault, False) for fault in FAULTS), ("none", True), ("few streams", True), ("all at once", True)],
)
async def test_every_push_is_accepted_and_said_so_once(apns, fault, token_mode):
    latency = 0.0 if fault == "one stream" else (0.001, 0.005)
    async with apns(
        faults=FAULTS[fault], token_mode=token_mode, latency_seconds=latency, deadline_seconds=3
    ) as world:
        heard = await push_many(world)
        taken = {push.push_token: push.apns_id for push in world.simulator.accepted}

    assert heard.failed == []
    assert sorted(heard.tokens(PushOutcome.ACCEPTED)) == sorted(taken) == TOKENS
    assert len({result.apns_id for _, result in heard.results}) == len(TOKENS)


async def test_each_is_called_back_once_with_what_apns_said_of_it(apns):
    async with apns() as world:
        world.simulator.unregister(push_token(1))
        world.simulator.refuse(push_token(2), "BadDeviceToken")
        heard = await push_many(world, [*TOKENS[:100], "no token"])
        taken = {push.push_token: push.apns_id for push in world.simulator.accepted}

    results = dict(heard.results)
    assert len(heard.results) == len(results) == 101
    assert {token: result.apns_id for token, result in results.items() if token in taken} == taken
    gone = {token: results[token].reason for token in heard.tokens(PushOutcome.DEVICE_GONE)}
    assert gone == {
        push_token(1): "Unregistered",
        push_token(2): "BadDeviceToken",
        "no token": "BadDeviceToken",
    }


@pytest.mark.parametrize("client", ["wire"])
async def test_a_device_that_stays_busy_is_handed_back_and_keeps_nobody_waiting(apns):
    async with apns() as world:
        world.simulator.refuse(push_token(1), "TooManyRequests")
        heard = await push_many(world, TOKENS[:50])

    assert heard.failed == [push_token(1)]
    assert len(heard.tokens(PushOutcome.ACCEPTED)) == 49
    assert heard.results[-1][0] == push_token(1)


async def test_refused_credentials_end_it_and_the_rest_is_not_asked_for(apns):
    async with apns(topic="pass.example.other") as world:
        heard, asked = Heard(), []
        tokens = (asked.append(token) or token for token in map(push_token, range(50_000)))
        with pytest.raises(PushRejected, match="TopicDisallowed"):
            await world.push.notify_many(tokens, heard)

    assert heard.results == []
    assert len(asked) < 10_000


async def test_a_service_that_cannot_be_reached_leaves_everything_to_be_told(apns):
    async with apns(faults=ApnsFaults(refused_connections=1_000_000), deadline_seconds=2) as world:
        heard = Heard()
        tokens = TOKENS[:5]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await world.push.notify_many(tokens, heard)
        except TemporaryFailure as failure:
            assert "connection" in str(failure)  # noqa: PT017
        else:
            assert sorted(heard.failed) == tokens

    assert heard.tokens(PushOutcome.ACCEPTED) == []


@pytest.mark.parametrize("client", ["wire"])
async def test_a_token_that_apple_finds_too_old_is_renewed_once_and_all_are_sent_again(apns):
    minutes = timedelta(minutes=1)
    async with apns(token_mode=True, clock=lambda: datetime.now(UTC) + 40 * minutes) as world:
        token = world.push._endpoint.token
        token._clock = lambda: time.time() - 25 * 60  # made 65 minutes ago by Apple's clock, 25 by ours
        token.get_header()
        token._clock = time.time
        heard = await push_many(world)

    assert sorted(heard.tokens(PushOutcome.ACCEPTED)) == TOKENS
    assert world.simulator.counts.refused > 0
    assert len(world.simulator.provider_tokens.seen) == 1


@pytest.mark.parametrize("client", ["wire"])
async def test_a_single_change_does_not_wait_for_a_bulk(apns):
    async with apns(latency_seconds=0.005, faults=ApnsFaults(streams=20)) as world:
        bulk = asyncio.create_task(push_many(world, map(push_token, range(3000))))
        while world.simulator.counts.accepted < 200:  # noqa: ASYNC110 (the condition belongs to the simulator)
            await asyncio.sleep(0.001)
        await world.push.notify_changed(push_token(9_999))
        place = [push.push_token for push in world.simulator.accepted].index(push_token(9_999))
        await bulk

    assert place < 1500


@pytest.mark.parametrize("client", ["wire"])
async def test_two_bulks_share_the_streams(apns):
    async with apns(latency_seconds=0.002, faults=ApnsFaults(streams=50)) as world:
        first, second = await asyncio.gather(
            push_many(world, map(push_token, range(1000))),
            push_many(world, map(push_token, range(1000, 2000))),
        )
        halves = Counter(int(push.push_token, 16) // 1000 for push in world.simulator.accepted[:1000])

    assert len(first.tokens(PushOutcome.ACCEPTED)) == len(second.tokens(PushOutcome.ACCEPTED)) == 1000
    assert min(halves[0], halves[1]) > 200


@pytest.mark.parametrize("client", ["wire"])
async def test_a_bulk_is_read_no_faster_than_it_is_sent(apns):
    ahead = []
    async with apns(latency_seconds=0.002, faults=ApnsFaults(streams=10, busy_share=0.01)) as world:

        def tokens():
            for number in range(1000):
                ahead.append(number - world.simulator.counts.accepted)
                yield push_token(number)

        heard = await push_many(world, tokens())

    assert len(heard.tokens(PushOutcome.ACCEPTED)) == 1000
    assert max(ahead) < 200


@pytest.mark.parametrize("client", ["wire"])
async def test_a_bulk_that_is_called_off_ends_and_the_next_push_works(apns):
    async with apns(latency_seconds=60, deadline_seconds=120) as world:
        bulk = asyncio.create_task(push_many(world))
        while world.simulator.counts.requests < 100:  # noqa: ASYNC110 (the condition belongs to the simulator)
            await asyncio.sleep(0.001)
        bulk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await bulk
        world.simulator._latency = (0.0, 0.0)
        assert (await world.push.notify_changed(push_token(1))).outcome is PushOutcome.ACCEPTED


async def test_closing_ends_a_bulk(apns):
    async with apns(latency_seconds=60, deadline_seconds=120) as world:
        bulk = asyncio.create_task(push_many(world))
        while world.simulator.counts.requests < 100:  # noqa: ASYNC110 (the condition belongs to the simulator)
            await asyncio.sleep(0.001)
        await world.push.close()
        try:
            heard = await bulk
        except TemporaryFailure:
            return
    assert heard.tokens(PushOutcome.ACCEPTED) == []
