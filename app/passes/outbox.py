"""The outbox: what each wallet is owed. A worker takes a pass, tells its phones, and notes how it went."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from sqlalchemy import case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.job_queue import enqueue, enqueue_many, kinds
from app.passes.models import Registration, Update
from app.passes.versions import APPLE

# Longer than the slowest push (10 s) and its bookkeeping: so long does a dead worker's pass wait.
LEASE = timedelta(seconds=15)


@dataclass(frozen=True)
class Target:
    """A device to tell, and what it must hear of."""

    push_service: str
    push_token: str


@dataclass(frozen=True)
class Taken:
    """A pass taken to be told of: up to which version, and to whom. `targets` has each push token once."""

    pass_id: str
    program_id: str
    version: int
    targets: tuple[Target, ...]


class Idle(Enum):
    """Why there is nothing to send just now."""

    NOTHING_OWED = auto()


@dataclass(frozen=True)
class Busy:
    """Another worker is telling this pass's phones; it will see that more is owed.

    After `seconds` without a word from it, it is dead.
    """

    seconds: float


async def take(session: AsyncSession, pass_id: str, *, now: datetime) -> Taken | Idle | Busy:
    """Take a pass for sending, alone, for as long as LEASE.

    Clears `queued` before reading, so a change after this commit enqueues anew.
    """
    statement = (
        update(Update)
        .where(Update.pass_id == pass_id, Update.wallet == APPLE)
        .where(or_(Update.leased_until.is_(None), Update.leased_until < now))
        .values(queued=False, leased_until=now + LEASE, touched_at=now)
        .returning(Update.program_id, Update.wanted_version, Update.sent_version)
        .execution_options(synchronize_session=False)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return await _busy(session, pass_id, now=now)
    if row.sent_version >= row.wanted_version:
        await _set(session, pass_id, leased_until=None)
        return Idle.NOTHING_OWED
    targets = await _targets(session, pass_id, row.wanted_version)
    return Taken(pass_id, row.program_id, row.wanted_version, targets)


async def _busy(session: AsyncSession, pass_id: str, *, now: datetime) -> Busy:
    statement = (
        update(Update)
        .where(Update.pass_id == pass_id, Update.wallet == APPLE)
        .values(queued=True)
        .returning(Update.leased_until)
        .execution_options(synchronize_session=False)
    )
    leased_until = await session.scalar(statement)  # None: it has finished just now
    return Busy((leased_until - now).total_seconds() if leased_until else 0.0)


async def _targets(session: AsyncSession, pass_id: str, version: int) -> tuple[Target, ...]:
    """Whom to tell: devices that have not accepted this version; each token once, as a phone has many ids."""
    query = (
        select(Registration.push_service, Registration.push_token)
        .where(Registration.pass_id == pass_id, Registration.pushed_version < version)
        .distinct()
    )
    return tuple(Target(row.push_service, row.push_token) for row in await session.execute(query))


async def mark_sent(session: AsyncSession, taken: Taken) -> None:
    """Every phone was told of this version, and no newer answer is undone.

    Queued again meanwhile: a change, a device that registered too late to be told, or a job that found us
    busy and would come back only after its wait. Then whom to tell is found out anew, at once.
    """
    sent = case((Update.queued, Update.sent_version), else_=taken.version)
    statement = (
        update(Update)
        .where(Update.pass_id == taken.pass_id, Update.wallet == APPLE, Update.sent_version < taken.version)
        .values(sent_version=sent, attempts=0, leased_until=None)
        .returning(Update.queued)
        .execution_options(synchronize_session=False)
    )
    if await session.scalar(statement):
        await enqueue(session, kinds.PUSH_APPLE, {"pass_id": taken.pass_id}, priority=kinds.LIVE)


async def mark_failed(session: AsyncSession, taken: Taken, *, now: datetime) -> None:
    """Some phones could not be told; the job comes back, and then reads the newest version."""
    await _set(
        session, taken.pass_id, queued=True, attempts=Update.attempts + 1, leased_until=None, touched_at=now
    )


async def _set(session: AsyncSession, pass_id: str, **values: object) -> None:
    await session.execute(
        update(Update)
        .where(Update.pass_id == pass_id, Update.wallet == APPLE)
        .values(values)
        .execution_options(synchronize_session=False)
    )


async def sweep(session: AsyncSession, *, silent_for: timedelta, limit: int, now: datetime) -> int:
    """Enqueue again what is owed and has had no job for a while; how many. Finds what any accident left.

    `silent_for` must exceed the longest wait between two tries. A second job for one pass is harmless:
    whoever comes second finds nothing owed.
    """
    silent = (
        select(Update.pass_id)
        .where(Update.wanted_version > Update.sent_version, Update.touched_at < now - silent_for)
        .order_by(Update.touched_at)
        .limit(limit)
    )
    statement = (
        update(Update)
        .where(Update.pass_id.in_(silent), Update.wallet == APPLE)
        .values(queued=True, touched_at=now)
        .returning(Update.pass_id)
        .execution_options(synchronize_session=False)
    )
    found = (await session.scalars(statement)).all()
    await enqueue_many(
        session, kinds.PUSH_APPLE, [{"pass_id": pass_id} for pass_id in found], priority=kinds.BULK
    )
    return len(found)
