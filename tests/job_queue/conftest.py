"""A worker beside the test, in the same process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.job_queue import Registered, run_worker

Working = Callable[..., AbstractAsyncContextManager[asyncio.Event]]


@pytest.fixture
def working(engine: AsyncEngine) -> Working:
    """`async with working(handlers) as stop:` the worker runs, and has stopped on the way out."""

    @asynccontextmanager
    async def run(handlers: dict[str, Registered], **options: Any) -> AsyncIterator[asyncio.Event]:
        stop = asyncio.Event()
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(run_worker(engine, handlers, stop=stop, **options))
            yield stop
            stop.set()

    return run


class Done:
    """Remembers what handlers were given, and lets a test wait for it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._changed = asyncio.Event()

    def add(self, call: Any) -> None:
        self.calls.append(call)
        self._changed.set()

    async def wait_for(self, count: int, seconds: float = 10) -> list[Any]:
        """The first `count` calls, as soon as there are so many."""
        async with asyncio.timeout(seconds):
            while len(self.calls) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.calls[:count]


@pytest.fixture
def done() -> Done:
    return Done()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Wait until the database says so."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  a database has no events to wait on
            await asyncio.sleep(0.02)
