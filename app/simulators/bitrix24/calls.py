"""What a portal posts to others: events, robots and texts, as its queue server does. Nothing is ever repeated
because of an answer; a plan may lose, double, delay and reorder calls, always the same ones for a seed.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from app.simulators.bitrix24 import php_forms

_TIMEOUT_SECONDS = 30.0
_AT_ONCE = 16


@dataclass(frozen=True)
class Plan:
    """What becomes of outgoing calls: shares of them that are lost, doubled, or delayed until released."""

    seed: int = 0
    lost: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    shuffled: bool = False


@dataclass(frozen=True)
class Call:
    """One POST to a handler."""

    url: str
    fields: Mapping[str, object]


class Calls:
    """The queue server. Calls wait until `deliver`, or go at once while `live`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.statuses: list[int] = []  # of every answer so far; 0: nobody answered
        self.lost: list[Call] = []
        self.live = False
        self._answered = asyncio.Event()
        self._chance = random.Random(plan.seed)  # noqa: S311  no secret: the same accidents each time
        self._waiting: list[Call] = []
        self._delayed: list[Call] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def put(self, url: str, fields: Mapping[str, object]) -> None:
        call = Call(url, fields)
        if self._chance.random() < self.plan.lost:
            self.lost.append(call)
            return
        waits = self._delayed if self._chance.random() < self.plan.delayed else self._waiting
        waits.extend([call] * (2 if self._chance.random() < self.plan.doubled else 1))
        if self.live:
            task = asyncio.create_task(self.deliver())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def repeat_last(self) -> None:
        """Post what was put last a second time."""
        self._waiting.append(self._waiting[-1])

    def release(self) -> None:
        """Let the delayed calls go with the next delivery."""
        self._waiting += self._delayed
        self._delayed = []

    async def deliver(self) -> None:
        """Post everything that waits; return when all of it was answered, or was not."""
        calls, self._waiting = self._waiting, []
        if self.plan.shuffled:
            self._chance.shuffle(calls)
        gate = asyncio.Semaphore(_AT_ONCE)
        # Everything is on loopback: trusting no authority saves reading them all.
        async with httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=False) as client:
            await asyncio.gather(*(self._post(client, gate, call) for call in calls))

    async def answered(self, count: int) -> None:
        """Return when so many calls were answered, or could not be."""
        while len(self.statuses) < count:
            self._answered.clear()
            await self._answered.wait()

    async def close(self) -> None:
        """Return when nothing that went by itself is under way any more."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def _post(self, client: httpx2.AsyncClient, gate: asyncio.Semaphore, call: Call) -> None:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Bitrix24 Webhook Engine",
        }
        async with gate:
            try:
                body = php_forms.encode(call.fields).encode()
                answer = await client.post(call.url, content=body, headers=headers)
            except httpx2.TransportError:
                self.statuses.append(0)  # there are no repeats
            else:
                self.statuses.append(answer.status_code)
            self._answered.set()
