"""Telling the phones that hold a pass that it has changed.

What a phone is told is nothing but "ask": it then calls our PassKit web service. So repeating a push is
harmless, and what is owed is a version, never an event.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import structlog

from app import metrics
from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import JsonScalar, Retry
from app.passes import devices, outbox
from app.passes.versions import APPLE
from app.wallets.apple.push import PushRejected, PushResult, PushService, PushTarget
from app.wiring import Services

log = structlog.get_logger(__name__)

# Waits double from 5 s up to 15 min: gives up after about two days. What is owed stays owed: the sweep
# takes it up again, and `passbell jobs` shows it.
RETRY = Retry(attempts_max=200, first_wait_seconds=5, longest_wait_seconds=900)
SILENT_FOR = timedelta(minutes=30)
SWEEP_MAX = 1000


@dataclass(frozen=True)
class Told:
    """What became of one push."""

    target: PushTarget
    result: PushResult | None
    failure: TemporaryFailure | PermanentFailure | None


async def push_apple(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Tell every device that has not heard of the newest version; forget those that are gone.

    Read, send, write: no transaction is open while the push service answers. One device's failure does not
    keep the others waiting, and the retry tells only those that failed.

    A device that can never be told (its service has no settings, its token is refused) is noted and owed
    nothing: it hears of the next change, or asks by itself. Raises the TemporaryFailure that ends soonest,
    after everything is written down.
    """
    pass_id = str(args["pass_id"])
    async with services.sessions.begin() as session:
        gap = timedelta(seconds=services.settings.apple_push_gap_seconds)
        taken = await outbox.take(session, pass_id, APPLE, gap=gap, now=services.clock())
    if taken is outbox.Idle.NOTHING_OWED:
        return
    if isinstance(taken, outbox.Later):
        # Whoever holds the pass will enqueue what came meanwhile, and this job only returns in case it died;
        # or its phones were told a moment ago, and this job returns for all that changes until then.
        raise TemporaryFailure(taken.why, retry_after_seconds=taken.seconds)

    sent_at = services.clock()
    told = await asyncio.gather(*(_tell(services, target) for target in taken.targets))

    failures = [each.failure for each in told if isinstance(each.failure, TemporaryFailure)]
    async with services.sessions.begin() as session:
        await devices.record_pushes(
            session,
            taken.program_id,
            pass_id,
            taken.version,
            [(each.target, each.result, str(each.failure or "")) for each in told],
            sent_at=sent_at,
            now=services.clock(),
        )
        if failures:
            await outbox.mark_failed(session, taken, now=services.clock())
        else:
            await outbox.mark_sent(session, taken, now=services.clock())
    if failures:
        raise min(failures, key=lambda failure: failure.retry_after_seconds or 0.0)


async def _tell(services: Services, target: outbox.Target) -> Told:
    told = await _push(services, target)
    metrics.PUSHES.labels(told.target.push_service, _outcome(told)).inc()
    return told


def _outcome(told: Told) -> str:
    if told.result is not None:
        return told.result.outcome.value
    return "failed" if isinstance(told.failure, TemporaryFailure) else "refused"


async def _push(services: Services, target: outbox.Target) -> Told:
    known = PushTarget(push_service=cast(PushService, target.push_service), push_token=target.push_token)
    if services.pushers is None:
        return Told(known, None, TemporaryFailure("no Apple certificate is set: see `passbell doctor`"))
    stopped = services.push_stop.seconds_left(known.push_service, services.clock())
    if stopped:
        waiting = f"pushes to {known.push_service} are stopped"
        return Told(known, None, TemporaryFailure(waiting, retry_after_seconds=stopped))
    try:
        return Told(known, await services.pushers.notify(known), None)
    except PushRejected as rejection:
        # Our credentials are refused: every further push would be too, and Apple counts them. The pass
        # stays owed, and one push after the pause finds out whether someone has mended it.
        pause = services.push_stop.stop(known.push_service, str(rejection), services.clock())
        log.error("push.stopped", service=known.push_service, reason=str(rejection), seconds=pause)
        return Told(known, None, TemporaryFailure(str(rejection), retry_after_seconds=pause))
    except PermanentFailure as failure:
        log.warning("push.refused", service=known.push_service, reason=str(failure))
        return Told(known, None, failure)
    except TemporaryFailure as failure:
        return Told(known, None, failure)


async def sweep(services: Services) -> None:
    """Every minute: enqueue what was left behind by an accident. Finding nothing is the usual case."""
    async with services.sessions.begin() as session:
        found = await outbox.sweep(
            session, APPLE, silent_for=SILENT_FOR, limit=SWEEP_MAX, now=services.clock()
        )
    if found:
        log.warning("outbox.swept", passes=found)
