"""The outbox: what each wallet is owed. A worker takes a pass, tells that wallet, and notes how it went."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

from sqlalchemy import BigInteger, Integer, String, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import UtcDateTime
from app.job_queue import kinds
from app.passes.models import Update
from app.passes.versions import APPLE, enqueue_updates
from app.sql import typed_text

# Longer than the slowest push (10 s) and its bookkeeping: so long does a dead worker's pass wait.
LEASE = timedelta(seconds=15)
GIVEN_UP = 1_000_000  # attempts of what waits for a person, or for the next change


class Target(NamedTuple):
    """A device to tell. A tuple, because a campaign looks up each of them many times."""

    push_service: str
    push_token: str


@dataclass(frozen=True)
class Taken:
    """A pass taken to be told of: which wallet, up to which version, and to whom.

    `targets` has each push token once; only Apple's wallet is told by pushes. `leased_until` proves that the
    pass is still ours: whoever takes it after our lease has another.
    """

    pass_id: str
    wallet: str
    program_id: str
    version: int
    attempts: int  # failed ones before this
    leased_until: datetime
    targets: tuple[Target, ...]


class Idle(Enum):
    """Why there is nothing to send just now."""

    NOTHING_OWED = auto()


@dataclass(frozen=True)
class Later:
    """Not now, and `why`: another worker is telling this pass's wallet, or it was told a moment ago.

    In `seconds` that worker has finished or is dead, or the wallet may be told of all that changed by then.
    """

    why: str
    seconds: float


_TYPES = {
    "pass_id": String(),
    "wallet": String(),
    "version": BigInteger(),
    "attempts": Integer(),
    "now": UtcDateTime(),
    "until": UtcDateTime(),
    "mine": UtcDateTime(),
}
# Text, because every push comes through here, twice.
_TAKE = typed_text(
    """UPDATE updates SET queued = false, leased_until = :until, touched_at = :now
    WHERE pass_id = :pass_id AND wallet = :wallet AND (leased_until IS NULL OR leased_until < :now)
    RETURNING program_id, wanted_version, sent_version, attempts, told_at""",
    _TYPES,
).columns(told_at=UtcDateTime())
_ASK_FOR_MORE = typed_text(
    "UPDATE updates SET queued = true WHERE pass_id = :pass_id AND wallet = :wallet RETURNING leased_until",
    _TYPES,
).columns(leased_until=UtcDateTime())
_RELEASE = typed_text(
    "UPDATE updates SET leased_until = NULL WHERE pass_id = :pass_id AND wallet = :wallet", _TYPES
)
_WAIT = typed_text(
    "UPDATE updates SET queued = true, leased_until = NULL WHERE pass_id = :pass_id AND wallet = :wallet",
    _TYPES,
)
# A device that accepted this version is not told again; each token once, as a phone has many device ids.
_TARGETS = typed_text(
    "SELECT DISTINCT push_service, push_token FROM registrations "
    "WHERE pass_id = :pass_id AND pushed_version < :version",
    _TYPES,
)
# A worker that was away longer than its lease must not speak for whoever holds the pass by now.
_IF_MINE = "WHERE pass_id = :pass_id AND wallet = :wallet AND leased_until = :mine"
_SENT = typed_text(
    f"""UPDATE updates SET attempts = 0, leased_until = NULL, told_at = :now,
      sent_version = CASE WHEN queued THEN sent_version ELSE :version END
    {_IF_MINE} AND sent_version < :version RETURNING queued""",  # noqa: S608
    _TYPES,
)
_FAILED = typed_text(
    f"""UPDATE updates SET queued = true, attempts = attempts + 1, leased_until = NULL, touched_at = :now
    {_IF_MINE}""",  # noqa: S608
    _TYPES,
)
_REFUSED = typed_text(
    f"UPDATE updates SET attempts = :attempts, leased_until = NULL, touched_at = :now {_IF_MINE}",  # noqa: S608
    _TYPES,
)


async def take(
    session: AsyncSession,
    pass_id: str,
    wallet: str,
    *,
    now: datetime,
    lease: timedelta = LEASE,
    gap: timedelta = timedelta(0),
) -> Taken | Idle | Later:
    """Take a pass for telling one wallet of it, alone, for as long as `lease`.

    Clears `queued` before reading, so a change after this commit enqueues anew. Sooner than `gap` after it
    was told, the pass is left for later; the job of the caller counts as on its way.
    """
    which = {"pass_id": pass_id, "wallet": wallet}
    until = now + lease
    row = (await session.execute(_TAKE, which | {"now": now, "until": until})).one_or_none()
    if row is None:
        leased_until: datetime | None = await session.scalar(_ASK_FOR_MORE, which)
        # None: it has finished just now.
        seconds = (leased_until - now).total_seconds() if leased_until else 0.0
        return Later("another worker holds this pass", seconds)
    if row.sent_version >= row.wanted_version:
        await session.execute(_RELEASE, which)
        return Idle.NOTHING_OWED
    if row.told_at is not None and now < row.told_at + gap:
        await session.execute(_WAIT, which)
        return Later("its phones were told a moment ago", min(row.told_at + gap - now, gap).total_seconds())
    targets = await _targets(session, pass_id, row.wanted_version) if wallet == APPLE else ()
    return Taken(pass_id, wallet, row.program_id, row.wanted_version, row.attempts, until, targets)


async def _targets(session: AsyncSession, pass_id: str, version: int) -> tuple[Target, ...]:
    targets = await session.execute(_TARGETS, {"pass_id": pass_id, "version": version})
    return tuple(Target(target.push_service, target.push_token) for target in targets)


async def mark_sent(session: AsyncSession, taken: Taken, *, now: datetime) -> None:
    """The wallet was told of this version, and no newer answer is undone; nothing where the lease was lost.

    Queued again meanwhile: a change, a device that registered too late to be told, or a job that found us
    busy and would come back only after its wait. Then whom to tell is found out anew, at once.
    """
    if await session.scalar(_SENT, _which(taken) | {"version": taken.version, "now": now}):
        await enqueue_updates(session, [(taken.pass_id, taken.wallet)], priority=kinds.LIVE)


async def mark_failed(session: AsyncSession, taken: Taken, *, now: datetime) -> None:
    """The wallet could not be told; the job comes back, and then reads the newest version."""
    await session.execute(_FAILED, _which(taken) | {"now": now})


async def mark_refused(session: AsyncSession, taken: Taken, *, for_good: bool, now: datetime) -> None:
    """The wallet cannot use what it was sent; a change meanwhile has a job of its own.

    `for_good`: no sweep finds it any more. It stays owed until a change, or a person, has it tried again.
    """
    attempts = GIVEN_UP if for_good else taken.attempts + 1
    await session.execute(_REFUSED, _which(taken) | {"attempts": attempts, "now": now})


def _which(taken: Taken) -> dict[str, object]:
    return {"pass_id": taken.pass_id, "wallet": taken.wallet, "mine": taken.leased_until}


async def sweep(
    session: AsyncSession, wallet: str, *, silent_for: timedelta, limit: int, now: datetime
) -> int:
    """Enqueue again what a wallet is owed and has had no job for a while; how many: what any accident left.

    `silent_for` must exceed the longest wait between two tries. A second job for one pass is harmless:
    whoever comes second finds nothing owed. It is of the priority of the lost one: a purchase that was left
    behind is still a purchase, and no campaign's rules keep it back.
    """
    silent = (
        select(Update.pass_id)
        .where(
            Update.wallet == wallet,
            Update.wanted_version > Update.sent_version,
            Update.touched_at < now - silent_for,
            Update.attempts < GIVEN_UP,
        )
        .order_by(Update.touched_at)
        .limit(limit)
    )
    statement = (
        update(Update)
        .where(Update.pass_id.in_(silent), Update.wallet == wallet)
        .values(queued=True, touched_at=now)
        .returning(Update.pass_id, Update.priority)
        .execution_options(synchronize_session=False)
    )
    found = (await session.execute(statement)).all()
    for priority in {row.priority for row in found}:
        owed = [(row.pass_id, wallet) for row in found if row.priority == priority]
        await enqueue_updates(session, owed, priority=priority)
    return len(found)
