"""A portal's tokens and requests, shared by all workers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import rate_limits
from app.db import locked, upsert
from app.deals.models import Portal
from app.inbox.models import Source
from app.sealing import seal, unseal

RENEWING = timedelta(seconds=30)  # longer than the portal's answer takes
# New tokens are asked for a little early: a token must not end while its request is on the way.
EARLY = timedelta(seconds=60)


# The portal's clock is not ours: a deal won in the minute of connecting must not be lost.
CLOCKS_APART = timedelta(minutes=10)


class RenewedElsewhere(Exception):
    """Another worker is asking for new tokens right now."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """An application's access token, and the refresh token that gets the next one."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


def counts_from(source: Source, wanted: datetime | None) -> datetime:
    """From when on a portal's deals count: what the settings say, else since the portal was connected."""
    return wanted or source.created_at - CLOCKS_APART


async def take_request(
    session: AsyncSession, source: Source, *, at_once: int, per_second: float, now: datetime
) -> float:
    """Count one request to the portal: 0.0, or after how many seconds there is room for one."""
    key, period = f"portal:{source.id}", at_once / per_second
    if await rate_limits.take(session, key, limit=at_once, period_seconds=period, now=now):
        return 0.0
    return await rate_limits.seconds_until_free(session, key, limit=at_once, period_seconds=period, now=now)


async def portal_to_change(session: AsyncSession, source: Source) -> Portal:
    """The source's portal, ours alone until commit; made where there is none."""
    row = {"source_id": source.id, "program_id": source.program_id}
    await session.execute(upsert(session, Portal).values(row).on_conflict_do_nothing())
    return await locked(session, select(Portal).where(Portal.source_id == source.id))


async def tokens_of(
    session: AsyncSession, secret_key: bytes, source_id: str, *, now: datetime
) -> tuple[Tokens, bool] | None:
    """The application's tokens, and whether they are still good; None where it is not installed."""
    portal = await session.get(Portal, source_id, populate_existing=True)
    if portal is None or portal.sealed_tokens is None:
        return None
    is_good = portal.tokens_until is not None and portal.tokens_until - EARLY > now
    return _open(secret_key, portal), is_good


async def keep_tokens(
    session: AsyncSession, secret_key: bytes, source: Source, tokens: Tokens, *, until: datetime
) -> None:
    """Note new tokens, unless there are newer ones: what the portal posts may come late.

    Nobody is renewing them any more.
    """
    portal = await portal_to_change(session, source)
    if portal.tokens_until is not None and portal.tokens_until > until:
        return
    values = {"access": tokens.access, "refresh": tokens.refresh}
    portal.sealed_tokens = seal(secret_key, _context(source.id), values)
    portal.tokens_until, portal.renewing_until = until, None
    await session.flush()


async def begin_renewal(
    session: AsyncSession, secret_key: bytes, source: Source, used: Tokens, *, now: datetime
) -> Tokens | None:
    """Undertake to renew these tokens; the newer ones, where somebody already has.

    A refresh token works once, so two workers must not spend it. Raises RenewedElsewhere.
    """
    portal = await portal_to_change(session, source)
    if portal.sealed_tokens is not None:
        kept = _open(secret_key, portal)
        if kept != used:
            return kept
    if portal.renewing_until is not None and portal.renewing_until > now:
        raise RenewedElsewhere
    portal.renewing_until = now + RENEWING
    await session.flush()
    return None


async def forget_tokens(session: AsyncSession, secret_key: bytes, source: Source, used: Tokens) -> None:
    """These let the application in no more; others that came meanwhile stay."""
    portal = await portal_to_change(session, source)
    if portal.sealed_tokens is not None and _open(secret_key, portal) != used:
        return
    portal.sealed_tokens, portal.tokens_until, portal.renewing_until = None, None, None
    await session.flush()


def _open(secret_key: bytes, portal: Portal) -> Tokens:
    assert portal.sealed_tokens is not None
    values = unseal(secret_key, _context(portal.source_id), portal.sealed_tokens)
    return Tokens(values["access"], values["refresh"])


def _context(source_id: str) -> str:
    return f"portal:{source_id}"
