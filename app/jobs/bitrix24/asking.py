"""Calling a portal: within its requests a second, with a token that is good, and its no in words."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from app.crm.bitrix24 import source as bitrix24
from app.crm.bitrix24.rest import Access, Batch, Command, Refused, TokenExpired
from app.deals import portals
from app.deals.portals import RenewedElsewhere, Tokens
from app.errors import PermanentFailure, TemporaryFailure
from app.inbox import sources
from app.inbox.models import Source
from app.wiring import Services

# How often a call waits by itself for room in the bucket before its job makes place for others.
WAITS_MAX, WAIT_SECONDS_MAX = 20, 5.0
_NOT_LET_IN = {"NO_AUTH_FOUND", "INVALID_CREDENTIALS", "INVALID_TOKEN", "INVALID_GRANT", "INVALID_CLIENT"}

Result = TypeVar("Result")


class CannotAsk(PermanentFailure):
    """The portal does not let us, until a person mends it; `code` is a key of the texts under [inbox]."""

    def __init__(self, code: str, **values: str) -> None:
        super().__init__(f"Bitrix24: {code} {' '.join(values.values())}")
        self.code, self.values = code, values


async def call(services: Services, source: Source, command: Command) -> Any:
    """The result of one call. Raises TemporaryFailure, CannotAsk where only a person can help."""
    return await _asked(
        services, source, lambda access: services.bitrix24.call(access, command.method, command.params)
    )


async def batch(services: Services, source: Source, commands: Mapping[str, Command]) -> Batch:
    """Up to fifty calls as one request. Raises as `call` does."""
    return await _asked(services, source, lambda access: services.bitrix24.batch(access, commands))


async def _asked(services: Services, source: Source, use: Callable[[Access], Awaitable[Result]]) -> Result:
    try:
        access = await _access(services, source)
        try:
            return await use(access)
        except TokenExpired:
            return await use(await _renewed(services, source, access.token))
    except Refused as refusal:
        if refusal.code.upper() in _NOT_LET_IN:
            raise CannotAsk("portal_access_ended") from refusal
        raise CannotAsk("portal_refuses", what=refusal.code) from refusal
    except CannotAsk:
        raise
    except PermanentFailure as failure:
        raise CannotAsk("portal_refuses", what=str(failure)) from failure


async def _access(services: Services, source: Source) -> Access:
    """How to enter now, one request counted: as the application where it is installed, else by webhook."""
    settings = bitrix24.settings_of(source.settings)
    await _wait_for_room(services, source, settings)
    async with services.sessions.begin() as session:
        found = await portals.tokens_of(session, services.secret_key, source.id, now=services.clock())
    if found is not None:
        tokens, is_good = found
        access = Access(f"{settings.portal_url}/rest/", tokens.access)
        return access if is_good else await _renewed(services, source, tokens.access)
    webhook = sources.read_secrets(services.secret_key, source).get(bitrix24.WEBHOOK_URL)
    if webhook is None:
        raise CannotAsk("portal_not_connected")
    return Access(webhook)


async def _wait_for_room(services: Services, source: Source, settings: bitrix24.Bitrix24Settings) -> None:
    for _ in range(WAITS_MAX):
        async with services.sessions.begin() as session:
            seconds = await portals.take_request(
                session,
                source,
                at_once=settings.requests_at_once,
                per_second=settings.requests_per_second,
                now=services.clock(),
            )
        if not seconds:
            return
        if seconds > WAIT_SECONDS_MAX:
            break
        await asyncio.sleep(seconds)
    raise TemporaryFailure("Bitrix24: our requests are used up for now", retry_after_seconds=1.0)


async def _renewed(services: Services, source: Source, used: str) -> Access:
    settings = bitrix24.settings_of(source.settings)
    async with services.sessions.begin() as session:
        found = await portals.tokens_of(session, services.secret_key, source.id, now=services.clock())
        if found is None:
            raise TemporaryFailure("Bitrix24: the tokens are gone", retry_after_seconds=1.0)
        tokens, is_good = found
        if tokens.access == used or not is_good:
            try:
                newer = await portals.begin_renewal(
                    session, services.secret_key, source, tokens, now=services.clock()
                )
            except RenewedElsewhere as error:
                raise TemporaryFailure(
                    "Bitrix24: a token is being renewed", retry_after_seconds=2.0
                ) from error
        else:
            newer = tokens
    if newer is None:
        newer = await _renew(services, source, settings, tokens)
    return Access(f"{settings.portal_url}/rest/", newer.access)


async def _renew(
    services: Services, source: Source, settings: bitrix24.Bitrix24Settings, tokens: Tokens
) -> Tokens:
    secret = sources.read_secrets(services.secret_key, source).get(bitrix24.CLIENT_SECRET, "")
    try:
        fresh = await services.bitrix24.renew(
            tokens.refresh, client_id=settings.client_id, client_secret=secret, url=settings.oauth_url
        )
    except Refused:
        async with services.sessions.begin() as session:
            await portals.forget_tokens(session, services.secret_key, source, tokens)
        raise
    renewed = Tokens(fresh.access, fresh.refresh)
    until = services.clock() + timedelta(seconds=fresh.seconds)
    async with services.sessions.begin() as session:
        await portals.keep_tokens(session, services.secret_key, source, renewed, until=until)
    return renewed
