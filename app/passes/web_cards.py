"""The browsers that keep a web card and want to hear of its changes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upsert
from app.passes import trace
from app.passes.models import Pass, Update, WebSubscription
from app.passes.versions import WEB

BROWSERS_MAX = 10  # of one card: the eleventh takes the place of the one that was longest silent


@dataclass(frozen=True)
class Browser:
    """What a browser gave when it asked for pushes."""

    endpoint: str
    p256dh: str
    auth: str
    language: str


async def subscribe(
    session: AsyncSession, issued: Pass, browser: Browser, *, shown: Mapping[str, str], now: datetime
) -> None:
    """Tell this browser of changes from now on. `shown` is what its card says now. May be repeated."""
    key = endpoint_hash(browser.endpoint)
    known = await session.scalar(select(WebSubscription.pass_id).where(WebSubscription.endpoint_hash == key))
    values = {
        "pass_id": issued.id,
        "program_id": issued.program_id,
        "p256dh": browser.p256dh,
        "auth": browser.auth,
        "language": browser.language,
        "shown": dict(shown),
        "pushed_version": issued.version,
        "seen_at": now,
    }
    statement = upsert(session, WebSubscription).values(
        endpoint_hash=key, endpoint=browser.endpoint, created_at=now, **values
    )
    await session.execute(statement.on_conflict_do_update(index_elements=["endpoint_hash"], set_=values))
    await _forget_the_oldest(session, issued.id)
    await _owe(session, issued, now=now)
    if known != issued.id:
        await trace.record(
            session, issued.program_id, [issued.id], trace.INSTALLED, details={"wallet": WEB}, now=now
        )


async def unsubscribe(session: AsyncSession, issued: Pass, endpoint: str, *, now: datetime) -> None:
    """Tell this browser nothing any more. May be repeated."""
    await forget(session, issued.program_id, issued.id, [endpoint], now=now)


async def forget(
    session: AsyncSession, program_id: str, pass_id: str, endpoints: Sequence[str], *, now: datetime
) -> None:
    """Drop browsers that are gone, with a line in the story for each."""
    hashes = [endpoint_hash(each) for each in endpoints]
    gone = await session.scalars(
        delete(WebSubscription)
        .where(WebSubscription.endpoint_hash.in_(hashes), WebSubscription.pass_id == pass_id)
        .returning(WebSubscription.endpoint_hash)
    )
    for _ in gone.all():
        await trace.record(
            session, program_id, [pass_id], trace.UNINSTALLED, details={"wallet": WEB}, now=now
        )


async def to_tell(session: AsyncSession, pass_id: str, version: int) -> Sequence[WebSubscription]:
    """The browsers that have not heard of this version."""
    query = select(WebSubscription).where(
        WebSubscription.pass_id == pass_id, WebSubscription.pushed_version < version
    )
    return (await session.scalars(query)).all()


async def record_told(
    session: AsyncSession, endpoint: str, *, version: int, shown: Mapping[str, str], now: datetime
) -> None:
    """Note what a browser's card says since it was told, or since it needed not be."""
    await session.execute(
        update(WebSubscription)
        .where(
            WebSubscription.endpoint_hash == endpoint_hash(endpoint),
            WebSubscription.pushed_version < version,
        )
        .values(pushed_version=version, shown=dict(shown), seen_at=now)
    )


async def _forget_the_oldest(session: AsyncSession, pass_id: str) -> None:
    newest = (
        select(WebSubscription.endpoint_hash)
        .where(WebSubscription.pass_id == pass_id)
        .order_by(WebSubscription.seen_at.desc(), WebSubscription.endpoint_hash)
        .limit(BROWSERS_MAX)
    )
    await session.execute(
        delete(WebSubscription).where(
            WebSubscription.pass_id == pass_id, WebSubscription.endpoint_hash.not_in(newest)
        )
    )


async def _owe(session: AsyncSession, issued: Pass, *, now: datetime) -> None:
    """Have the outbox tell this wallet too, from the present version on."""
    statement = upsert(session, Update).values(
        pass_id=issued.id,
        wallet=WEB,
        program_id=issued.program_id,
        wanted_version=issued.version,
        sent_version=issued.version,
        queued=False,
        priority=0,
        attempts=0,
        wanted_at=now,
        touched_at=now,
    )
    await session.execute(statement.on_conflict_do_nothing())


def endpoint_hash(endpoint: str) -> str:
    """The key of a subscription: push addresses are long, and secret."""
    return hashlib.sha256(endpoint.encode()).hexdigest()
