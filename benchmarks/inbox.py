"""Webhooks accepted (202) per second, and the way from a webhook to the push that Apple has accepted.

    python -m benchmarks.inbox [seconds per measurement]

Every delivery is signed (Standard Webhooks), has an id of its own and is on the disk before it is answered.
The first measurement has no worker: what one web process accepts. In the second one process does everything,
100 deliveries a second come in, and APNs takes 20 to 50 ms to answer, as Apple's does.
Goals: 800/s; p50 under 120 ms, p99 under 400 ms.
"""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count, cycle
from statistics import quantiles

from app import standard_webhooks
from app.clock import utc_now
from app.simulators.apns import Push
from benchmarks._program import DATABASES, Program, cpu_seconds, open_program, report
from tests.flows.wire import Wire

MEMBERS = 500
CONNECTIONS = 32
WARM_UP_SECONDS = 2.0
PER_SECOND = 100
APPLES_SECONDS = (0.02, 0.05)
GOAL_PER_SECOND = 800
GOALS_MS = (120, 400)
LATE_AFTER_SECONDS = 20.0
MAPPING = {"rules": [{"event": "points", "reference": "{id}", "card_number": "{card}", "points": "{points}"}]}


class Sender:
    """A till that signs what it delivers."""

    def __init__(self, program: Program, secret: str) -> None:
        self._url = program.server.url
        self._secret = secret
        self._numbers = count()
        self.holders = cycle(enumerate(program.crowd.holders))

    async def deliver(self, wire: Wire, card: int) -> None:
        event_id = f"{next(self._numbers)}-{secrets.token_hex(4)}"
        body = json.dumps({"id": event_id, "card": f"{card:08}", "points": 5}).encode()
        headers = standard_webhooks.headers(event_id, body, [self._secret], now=utc_now())
        answer = await wire.send("POST", "/hooks/till", body, headers)
        assert answer.status == 202, answer

    def wire(self) -> Wire:
        return Wire(self._url)


@asynccontextmanager
async def connected(
    database: str, *, worker: bool, **given: object
) -> AsyncGenerator[tuple[Program, Sender]]:
    """A running program with a source called "till"."""
    async with open_program(database, members=MEMBERS, worker=worker, **given) as program:
        async with Wire(program.server.url, {"Authorization": f"Bearer {program.crowd.api_key}"}) as wire:
            wanted = json.dumps({"kind": "generic", "slug": "till", "settings": MAPPING}).encode()
            answer = await wire.send("POST", "/api/v1/sources", wanted)
        yield program, Sender(program, json.loads(answer.body)["secret"])


async def accepted(sender: Sender, seconds: float) -> int:
    """How many deliveries are answered in so long, over all connections."""
    until = time.perf_counter() + seconds

    async def deliver() -> int:
        sent = 0
        async with sender.wire() as wire:
            while time.perf_counter() < until:
                await sender.deliver(wire, next(sender.holders)[0])
                sent += 1
        return sent

    return sum(await asyncio.gather(*(deliver() for _ in range(CONNECTIONS))))


async def pushed(program: Program, sender: Sender, seconds: float) -> list[float]:
    """The seconds from a delivery sent to its push accepted, of every delivery."""
    took: list[float] = []
    sent: dict[str, float] = {}
    all_pushed = asyncio.Event()
    wires: asyncio.Queue[Wire] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        wires.put_nowait(sender.wire())

    def accept(push: Push) -> None:
        started = sent.pop(push.push_token, None)
        if started is not None:
            took.append(time.perf_counter() - started)
        if not sent:
            all_pushed.set()

    stops = [program.world.apns.on_push(each.push_token, accept) for each in program.crowd.holders]

    async def deliver() -> None:
        card, holder = next(sender.holders)
        wire = await wires.get()
        sent[holder.push_token] = time.perf_counter()
        await sender.deliver(wire, card)
        wires.put_nowait(wire)

    due = time.perf_counter()
    async with asyncio.TaskGroup() as deliveries:
        for _ in range(round(seconds * PER_SECOND)):
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            deliveries.create_task(deliver())
            due += 1 / PER_SECOND
    all_pushed.clear()
    if sent:
        await asyncio.wait_for(all_pushed.wait(), LATE_AFTER_SECONDS)
    for stop in stops:
        stop()
    while not wires.empty():
        await wires.get_nowait().close()
    return took


async def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    for database in DATABASES:
        async with connected(database, worker=False) as (program, sender):
            await accepted(sender, WARM_UP_SECONDS)
            cpu = cpu_seconds(program.server.web.pid)
            number = await accepted(sender, seconds)
            cpu = cpu_seconds(program.server.web.pid) - cpu
        report(
            "webhooks accepted",
            round(number / seconds),
            "/s",
            database=database,
            goal=GOAL_PER_SECOND,
            ratio=round(number / seconds / GOAL_PER_SECOND, 2),
            server_cpu_ms_each=round(cpu * 1000 / number, 3),
        )
        async with connected(database, worker=True, apns_seconds=APPLES_SECONDS) as (program, sender):
            await pushed(program, sender, WARM_UP_SECONDS)
            cpu = cpu_seconds(program.server.web.pid)
            took = await pushed(program, sender, seconds)
            cpu = cpu_seconds(program.server.web.pid) - cpu
        percentiles = [round(each * 1000) for each in quantiles(took, n=100)]
        report(
            "webhook to push accepted",
            percentiles[49],
            "ms p50",
            database=database,
            p99_ms=percentiles[98],
            goal_ms=GOALS_MS,
            ratio=round(max(percentiles[49] / GOALS_MS[0], percentiles[98] / GOALS_MS[1]), 2),
            deliveries=len(took),
            cpu_ms_each=round(cpu * 1000 / len(took), 2),
        )


if __name__ == "__main__":
    asyncio.run(main())
