"""What many requests ask for in one transaction: whoever comes while one is under way goes with the next.

On a quiet server nobody waits; on a busy one a commit, and the journeys to the database, are shared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Hands what comes to `work` in batches of at most `most`, one after the other.

    `work` gives an answer for each item, in their order. Where it fails for several, each is tried alone, so
    that one that cannot be done spoils no other; unless the failure `is_of_all`, such as a database that is
    away: trying two hundred one after the other would only keep them waiting for the same.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        most: int,
        is_of_all: Callable[[Exception], bool],
    ) -> None:
        self._work = work
        self._most = most
        self._is_of_all = is_of_all
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None  # held here: the loop itself holds tasks only weakly

    async def do(self, item: Item) -> Answer:
        """The answer for this item. Raises what `work` raises for it."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._try(batch)
        finally:  # at once, not when the task is seen to have ended: somebody may come in between
            self._running = None

    async def _try(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not self._is_of_all(error):
                for each in batch:
                    await self._try([each])
                return
            for _, future in batch:
                if not future.done():  # its request may have gone away
                    future.set_exception(error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
