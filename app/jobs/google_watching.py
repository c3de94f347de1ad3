"""What we ask Google by ourselves: its keys for callbacks, and who holds a pass."""

import re
from collections.abc import Mapping
from datetime import timedelta

import structlog

from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import JsonScalar, Retry, enqueue, kinds
from app.jobs.google_turns import Lane, Turns
from app.passes import google_callbacks, google_objects
from app.passes.models import GoogleObject
from app.wallets.google.callback import root_keys
from app.wiring import Services

log = structlog.get_logger(__name__)

RETRY = Retry(attempts_max=20, first_wait_seconds=5, longest_wait_seconds=3600)
CHECKED_A_NIGHT = 2000
_FRESH_AT_LEAST, _FRESH_AT_MOST = timedelta(hours=1), timedelta(days=1)
_MAX_AGE = re.compile(r"max-age=([0-9]{1,8})")


async def fetch_keys(services: Services) -> None:
    """Fetch the root keys of callbacks when ours are old; what is no key document changes nothing."""
    if services.google_api is None:
        return
    async with services.sessions() as session:
        if await google_callbacks.keys_are_fresh(session, now=services.clock()):
            return
    try:
        document, cache_control = await services.google_api.fetch_json(services.settings.google_keys_url)
    except (TemporaryFailure, PermanentFailure) as failure:
        log.warning("google.keys_not_fetched", reason=str(failure))  # again in a minute
        return
    if not root_keys(document):
        log.error("google.keys_unusable", url=services.settings.google_keys_url)
        return
    async with services.sessions.begin() as session:
        await google_callbacks.keep_keys(
            session, document, fresh_for=_freshness(cache_control), now=services.clock()
        )


def _freshness(cache_control: str) -> timedelta:
    match = _MAX_AGE.search(cache_control)
    asked = timedelta(seconds=int(match[1])) if match else _FRESH_AT_LEAST
    return min(max(asked, _FRESH_AT_LEAST), _FRESH_AT_MOST)


async def check_holders(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Ask Google whether anybody holds a pass: several people may, and one of them removed it."""
    if services.google_api is None:
        return
    pass_id = str(args["pass_id"])
    async with services.sessions() as session:
        known = await session.get(GoogleObject, pass_id)
    if known is None:
        return
    async with Turns(services, Lane.CAMPAIGN).one():
        found = await services.google_api.get(known.resource, known.object_id, fields="id,hasUsers")
    async with services.sessions.begin() as session:
        has_users = bool(found and found.get("hasUsers"))
        await google_objects.record_holders(session, pass_id, has_users=has_users, now=services.clock())


async def check_night(services: Services) -> None:
    """At night: ask again of the passes that were asked of longest ago."""
    async with services.sessions.begin() as session:
        for pass_id in await google_objects.unasked(session, limit=CHECKED_A_NIGHT):
            await enqueue(session, kinds.CHECK_GOOGLE, {"pass_id": pass_id}, priority=kinds.BULK)
