"""How fast the web processes answer phones, for every process to read: a campaign's speed follows it.

After a push every phone asks and fetches. Each web process writes down once a second how long its answers
took, while there are any; whoever makes phones ring reads the slowest.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Double, String, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.clock import Clock
from app.db import DATABASE_AWAY, Base, Sessions, upsert

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
FRESH_FOR = timedelta(seconds=5)  # older figures say nothing of now
FORGOTTEN_AFTER = timedelta(hours=1)  # a process that was killed leaves its row
_SHARE = 0.95
_KEPT_MAX = 5000  # answers of one second


class AnswerTime(Base):
    """What one web process measured last."""

    __tablename__ = "answer_times"

    process: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[datetime]
    seconds: Mapped[float] = mapped_column(Double)  # within which 95 % of a second's answers came


class Measured:
    """Answers of one process since they were last written down, and those it still owes."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._begun: dict[int, float] = {}
        self._count = 0

    def note(self, seconds: float) -> None:
        """Count one answer: the time until it was ready, not until a slow caller had read it."""
        if len(self._seconds) < _KEPT_MAX:
            self._seconds.append(seconds)

    @contextmanager
    def answer(self) -> Generator[None]:
        """Count one answer, which is prepared within the block."""
        self._count += 1
        key, begun = self._count, time.perf_counter()
        self._begun[key] = begun
        try:
            yield
        finally:
            del self._begun[key]
            self.note(time.perf_counter() - begun)

    def take(self) -> float | None:
        """Within how many seconds 95 % of them came, and begin anew; None when there were none.

        What is owed counts as long as it has waited: a process that answers nobody is slow, not idle.
        """
        now = time.perf_counter()
        ordered = sorted([*self._seconds, *(now - begun for begun in self._begun.values())])
        self._seconds = []
        if not ordered:
            return None
        return ordered[min(len(ordered) - 1, int(len(ordered) * _SHARE))]


async def record(session: AsyncSession, process: str, seconds: float, *, now: datetime) -> None:
    """Write down what a process measured, in place of what it wrote before."""
    statement = upsert(session, AnswerTime).values(process=process, at=now, seconds=seconds)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["process"], set_={"at": now, "seconds": seconds})
    )


async def slowest(session: AsyncSession, *, now: datetime) -> float | None:
    """The seconds of the slowest web process that phones asked a moment ago; None when no phone asked."""
    return await session.scalar(select(func.max(AnswerTime.seconds)).where(AnswerTime.at > now - FRESH_FOR))


@asynccontextmanager
async def reporting(measured: Measured, sessions: Sessions, clock: Clock) -> AsyncGenerator[None]:
    """Write down once a second what was measured, for as long as the block runs."""
    process = secrets.token_hex(8)
    task = asyncio.create_task(_report(measured, sessions, clock, process), name="answer-times")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _report(measured: Measured, sessions: Sessions, clock: Clock, process: str) -> None:
    is_first = True
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        seconds = measured.take()
        if seconds is None:
            continue
        try:
            async with sessions.begin() as session:
                now = clock()
                if is_first:
                    await session.execute(delete(AnswerTime).where(AnswerTime.at < now - FORGOTTEN_AFTER))
                    is_first = False
                await record(session, process, seconds, now=now)
        except DATABASE_AWAY as failure:
            log.warning("answer_times.not_written", reason=str(failure))
