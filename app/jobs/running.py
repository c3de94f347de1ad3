"""A worker at work: in a process of its own, or inside the web process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.job_queue import run_worker
from app.jobs.table import crons, handlers
from app.wiring import Services


async def work(services: Services, stop: asyncio.Event) -> None:
    """Do every kind of work until `stop` is set; then finish what is under way."""
    wake = "poll" if services.settings.queue_polling else "notify"
    await run_worker(services.engine, handlers(services), crons=crons(services), stop=stop, wake=wake)


@asynccontextmanager
async def working(services: Services) -> AsyncGenerator[None]:
    """A worker inside this process, for as long as the block runs."""
    stop = asyncio.Event()
    task = asyncio.create_task(work(services, stop), name="passbell-worker")
    try:
        yield
    finally:
        stop.set()
        await task
