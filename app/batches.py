"""What many requests ask for in one transaction: whoever comes while one is under way goes with the next.

On a quiet server nobody waits; on a busy one a commit, and the journeys to the database, are shared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Hands what comes to `work` in batches of at most `most`; `at_once` of them are under way at a time.

    `work` gives an answer for each item, in their order. Where it fails for several, each is tried alone, so
    that one that cannot be done spoils no other.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, most: int, at_once: int = 1
    ) -> None:
        self._work = work
        self._most = most
        self._seats = at_once
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, item: Item) -> Answer:
        """The answer for this item. Raises what `work` raises for it."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._seats:
            self._seats -= 1
            task = asyncio.create_task(self._run())
            self._running.add(task)  # the loop itself holds tasks only weakly
            task.add_done_callback(self._running.discard)
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            await self._try(batch)
        self._seats += 1  # at once, not when the task is seen to have ended: somebody may come in between

    async def _try(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work([item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for each in batch:
                await self._try([each])
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():  # its request may have gone away
                    future.set_result(answer)


def _fail(future: "asyncio.Future[Answer]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
