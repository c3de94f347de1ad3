"""Google's keys, and the callbacks heard so far: each is acted upon once, however often it is delivered."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upsert
from app.passes.models import GoogleCallback, GoogleKeys, GoogleObject

NONCES_KEPT = timedelta(days=90)
HEARD_WITHIN = timedelta(hours=1)  # a callback comes within minutes of a save


async def known_keys(session: AsyncSession) -> dict[str, Any] | None:
    """The keys as Google published them, or None before they were first fetched."""
    return await session.scalar(select(GoogleKeys.document))


async def keys_are_fresh(session: AsyncSession, *, now: datetime) -> bool:
    """Whether the keys need not be fetched again yet."""
    fresh_until = await session.scalar(select(GoogleKeys.fresh_until))
    return fresh_until is not None and fresh_until > now


async def keep_keys(
    session: AsyncSession, document: dict[str, Any], *, fresh_for: timedelta, now: datetime
) -> None:
    """Keep what Google published."""
    values = {"document": document, "fetched_at": now, "fresh_until": now + fresh_for}
    statement = upsert(session, GoogleKeys).values(id=1, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


async def is_new(session: AsyncSession, nonce: str, *, event: str, now: datetime) -> bool:
    """Note a callback; False when it was heard before."""
    statement = (
        upsert(session, GoogleCallback)
        .values(nonce=nonce, event=event, at=now)
        .on_conflict_do_nothing()
        .returning(GoogleCallback.nonce)
    )
    return await session.scalar(statement) is not None


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop nonces whose messages expired long ago."""
    await session.execute(delete(GoogleCallback).where(GoogleCallback.at < now - NONCES_KEPT))


async def unannounced(session: AsyncSession, *, now: datetime) -> int:
    """How many passes somebody holds by Google's word, though no callback ever said so.

    More than a few mean that Google's callbacks do not reach us.
    """
    query = select(func.count()).where(
        GoogleObject.has_users, GoogleObject.saved_at.is_(None), GoogleObject.checked_at < now - HEARD_WITHIN
    )
    return (await session.scalars(query)).one()
