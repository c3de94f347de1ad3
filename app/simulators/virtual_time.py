"""A clock that stands still while anybody works, and jumps to the next who wakes when all of them sleep."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count


class VirtualTime:
    """The time of some workers. `clock` and `sleep` are what services take instead of the real ones."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._working = 0
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def clock(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Sleep, in a worker: no real time passes. Others are not counted and must not call it."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + timedelta(seconds=seconds), next(self._numbers), woken))
        self._rest()
        await woken

    async def run(self, *workers: Callable[[], Awaitable[None]]) -> None:
        """Run workers until all have ended."""
        self._working = len(workers)
        await asyncio.gather(*(self._worker(each) for each in workers))

    async def _worker(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._rest()

    def _rest(self) -> None:
        self._working -= 1
        if self._working == 0 and self._sleepers:
            at, _, woken = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            self._working = 1
            woken.set_result(None)
