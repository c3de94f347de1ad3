"""The worker process: does what the requests wrote down, until it is told to stop."""

import asyncio
import signal

import structlog

from app.jobs.running import work
from app.settings import Settings
from app.wiring import open_services

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is under way."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with open_services(settings) as services:
        log.info("worker.started")
        await work(services, stop)
    log.info("worker.stopped")
