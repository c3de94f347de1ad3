"""From a POST that moves points to the phone's fetch of the new pass, at 50 requests a second.

    python -m benchmarks.request_to_fetch [seconds per measurement]

The clock runs from the request sent until the answer to the phone's fetch is read: transaction, job, push
over HTTP/2, the phone's question, compiling and signing are all in it.
Goal: p50 under 100 ms, p99 under 300 ms.
"""

import asyncio
import json
import secrets
import sys
import time
from itertools import cycle
from statistics import quantiles

from benchmarks._program import DATABASES, Program, cpu_seconds, open_program, report
from tests.flows.phones import Phone, Phones, switched_on
from tests.flows.wire import Wire

PER_SECOND = 50
WARM_UP_SECONDS = 3.0
MEMBERS = 500
CONNECTIONS = 16
APPLES_SECONDS = (0.02, 0.05)  # what api.push.apple.com takes
GOALS_MS = (100, 300)
LATE_AFTER_SECONDS = 10.0


class Till:
    """Moves points at a steady pace, and notes how long each phone takes to show it."""

    def __init__(self, program: Program) -> None:
        self.took: list[float] = []
        self._accounts = cycle(holder.account_id for holder in program.crowd.holders)
        self._sent: dict[str, float] = {}
        self._all_fetched = asyncio.Event()
        self._wires: asyncio.Queue[Wire] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            key = {"Authorization": f"Bearer {program.crowd.api_key}"}
            self._wires.put_nowait(Wire(program.server.url, key))

    def fetched(self, phone: Phone) -> None:
        started = self._sent.pop(phone.holder.account_id, None)
        if started is not None:
            self.took.append(time.perf_counter() - started)
        if not self._sent:
            self._all_fetched.set()

    async def run(self, seconds: float) -> None:
        """Send for so long; return when the last phone has fetched."""
        due = time.perf_counter()
        async with asyncio.TaskGroup() as requests:
            for _ in range(round(seconds * PER_SECOND)):
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                requests.create_task(self._move_points(next(self._accounts)))
                due += 1 / PER_SECOND
        self._all_fetched.clear()
        if self._sent:
            await asyncio.wait_for(self._all_fetched.wait(), LATE_AFTER_SECONDS)

    async def _move_points(self, account_id: str) -> None:
        self._sent[account_id] = time.perf_counter()
        wire = await self._wires.get()
        path = f"/api/v1/accounts/{account_id}/transactions"
        body = json.dumps({"kind": "earn", "points": 5, "reason": "Order"}).encode()
        answer = await wire.send("POST", path, body, {"Idempotency-Key": secrets.token_hex(16)})
        assert answer.status == 201, answer
        self._wires.put_nowait(wire)

    async def close(self) -> None:
        while not self._wires.empty():
            await self._wires.get_nowait().close()


async def measure(program: Program, seconds: float) -> list[float]:
    """The seconds from request to fetch, of every request."""
    till = Till(program)
    phones = Phones(program.server, program.crowd, program.secret_key, on_fetch=till.fetched)
    async with switched_on(phones, program.world.apns):
        await till.run(WARM_UP_SECONDS)
        till.took.clear()
        await till.run(seconds)
    await till.close()
    return till.took


async def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    for database in DATABASES:
        for name, apns_seconds in (("APNs as Apple's", APPLES_SECONDS), ("APNs at once", (0.0, 0.0))):
            async with open_program(database, members=MEMBERS, apns_seconds=apns_seconds) as program:
                pid = program.server.web.pid
                cpu = cpu_seconds(pid)
                took = await measure(program, seconds)
                cpu = cpu_seconds(pid) - cpu
            percentiles = [round(each * 1000) for each in quantiles(took, n=100)]
            report(
                "request to fetch",
                percentiles[49],
                "ms p50",
                database=database,
                variant=name,
                p99_ms=percentiles[98],
                goal_ms=GOALS_MS,
                ratio=round(max(percentiles[49] / GOALS_MS[0], percentiles[98] / GOALS_MS[1]), 2),
                requests=len(took),
                cpu_ms_each=round(cpu * 1000 / (PER_SECOND * (seconds + WARM_UP_SECONDS)), 1),
            )


if __name__ == "__main__":
    asyncio.run(main())
