"""The outbox: what each wallet is owed. A worker takes a pass, tells its phones, and notes how it went."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.job_queue import enqueue_many, kinds
from app.passes.models import Registration, Update
from app.passes.versions import APPLE

# Longer than the slowest push (10 s) and its bookkeeping: so long does a dead worker's pass wait.
LEASE = timedelta(seconds=30)


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


class Busy(Exception):
    """Another worker is telling this pass's phones right now."""


async def take(session: AsyncSession, pass_id: str, *, now: datetime) -> Taken | None:
    """Take a pass for sending, or None when its wallet already has the newest version.

    Clears `queued` before reading, so a change after this commit enqueues anew. Raises Busy while another
    worker holds the lease; the caller comes back.
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
        raise Busy(pass_id)
    if row.sent_version >= row.wanted_version:
        await _release(session, pass_id)
        return None
    return Taken(
        pass_id, row.program_id, row.wanted_version, await _targets(session, pass_id, row.wanted_version)
    )


async def _targets(session: AsyncSession, pass_id: str, version: int) -> tuple[Target, ...]:
    """Whom to tell: devices that have not accepted this version; each token once, as a phone has many ids."""
    query = (
        select(Registration.push_service, Registration.push_token)
        .where(Registration.pass_id == pass_id, Registration.pushed_version < version)
        .distinct()
    )
    return tuple(Target(row.push_service, row.push_token) for row in await session.execute(query))


async def mark_sent(session: AsyncSession, taken: Taken) -> None:
    """Every phone was told of this version. Compare-and-set: an older answer never undoes a newer one.

    Queued again meanwhile: a change, or a device that registered too late to be told. The next job finds out
    whom to tell, so the version is left to it.
    """
    sent = case((Update.queued, Update.sent_version), else_=taken.version)
    await session.execute(
        update(Update)
        .where(Update.pass_id == taken.pass_id, Update.wallet == APPLE, Update.sent_version < taken.version)
        .values(sent_version=sent, attempts=0, leased_until=None)
        .execution_options(synchronize_session=False)
    )


async def mark_failed(session: AsyncSession, taken: Taken, *, now: datetime) -> None:
    """Some phones could not be told; the job comes back, and then reads the newest version."""
    await session.execute(
        update(Update)
        .where(Update.pass_id == taken.pass_id, Update.wallet == APPLE)
        .values(queued=True, attempts=Update.attempts + 1, leased_until=None, touched_at=now)
        .execution_options(synchronize_session=False)
    )


async def _release(session: AsyncSession, pass_id: str) -> None:
    await session.execute(
        update(Update)
        .where(Update.pass_id == pass_id, Update.wallet == APPLE)
        .values(leased_until=None)
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
