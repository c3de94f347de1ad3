"""Telling the phones of many passes at once: what a campaign changed.

Chunks overlap: while the pushes of one are under way, the next is read and the last one written down. Only so
many run at once, over all workers, so that a single change of a balance finds its way free.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import structlog

from app import metrics
from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import JsonScalar
from app.passes import budget_many, devices, outbox_chunk
from app.passes.outbox import Target
from app.passes.outbox_chunk import Chunk
from app.wallets.apple.push import PushOutcome, PushRejected, PushResult, PushService
from app.wiring import Services

log = structlog.get_logger(__name__)

AT_ONCE = 8  # chunks, over all workers; a seat does ten a second at most, and a single change waits for none
SEND_SECONDS = 12.0  # what has no answer by then is told by the job's next try


@dataclass
class _Results:
    """What became of a chunk's pushes so far."""

    answers: dict[Target, PushResult] = field(default_factory=dict[Target, PushResult])
    failures: dict[Target, TemporaryFailure | PermanentFailure] = field(
        default_factory=dict[Target, TemporaryFailure | PermanentFailure]
    )

    def note(self, target: Target, result: PushResult | TemporaryFailure | PermanentFailure) -> None:
        if isinstance(result, PushResult):
            self.answers[target] = result
        else:
            self.failures[target] = result

    def with_outcome(self, outcome: PushOutcome) -> dict[Target, PushResult]:
        return {target: answer for target, answer in self.answers.items() if answer.outcome is outcome}


async def push_apple_chunk(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Tell every device that has not heard of the newest version of these passes, as `push_apple` does.

    Raises the TemporaryFailure that ends soonest, after everything is written down; the next try finds only
    those passes owed that were not told.
    """
    if services.pushers is None:
        raise TemporaryFailure("no Apple certificate is set: see `passbell doctor`")
    pass_ids = str(args["pass_ids"]).split(",")
    async with services.sessions.begin() as session:
        now = services.clock()
        chunk = await outbox_chunk.read(session, pass_ids, now=now)
        held = await budget_many.hold_back(session, chunk.owed, now=now) if chunk.owed else None
        if held is not None and held.until is not None:
            await outbox_chunk.defer(session, chunk, sorted(held.deferred), until=held.until, now=now)
    if held is not None:
        chunk = chunk.without(held.deferred, held.silent)

    results, sent_at = _Results(), services.clock()
    try:
        if chunk.holders:
            await _tell(services, chunk, results)
    finally:  # also when the worker is stopped: what was sent is noted, and the rest is free for another
        _fail_the_late(chunk, results)
        _count(chunk, results)
        await _record(services, chunk, results, sent_at=sent_at)

    temporary = [each for each in results.failures.values() if isinstance(each, TemporaryFailure)]
    if temporary:
        raise min(temporary, key=lambda failure: failure.retry_after_seconds or 0.0)
    if chunk.busy_seconds is not None:
        # Whoever holds them finds that more is wanted; this job only returns in case it died.
        raise TemporaryFailure("another worker holds some", retry_after_seconds=chunk.busy_seconds)
    if held is not None and held.until is not None:
        seconds = max(0.0, (held.until - services.clock()).total_seconds())
        raise TemporaryFailure("campaigns may not ring yet", retry_after_seconds=seconds)


async def _tell(services: Services, chunk: Chunk, results: _Results) -> None:
    by_service: dict[str, list[Target]] = {}
    for target in chunk.holders:
        by_service.setdefault(target.push_service, []).append(target)
    with suppress(TimeoutError):  # those without an answer have failed: _fail_the_late
        async with asyncio.timeout(SEND_SECONDS):
            await asyncio.gather(
                *(
                    _tell_service(services, service, targets, results)
                    for service, targets in by_service.items()
                )
            )


async def _tell_service(services: Services, service: str, targets: list[Target], results: _Results) -> None:
    """Push to the devices of one service; where it refuses or cannot be reached, all the rest have failed."""
    push_service = cast(PushService, service)
    assert services.pushers is not None
    failure: TemporaryFailure | PermanentFailure | None = None
    stopped = services.push_stop.seconds_left(service, services.clock())
    if stopped:
        failure = TemporaryFailure(f"pushes to {service} are stopped", retry_after_seconds=stopped)
    else:
        try:
            await services.pushers.notify_many(
                push_service,
                [target.push_token for target in targets],
                lambda push_token, result: results.note(Target(service, push_token), result),
            )
        except PushRejected as rejection:
            pause = services.push_stop.stop(service, str(rejection), services.clock())
            log.error("push.stopped", service=service, reason=str(rejection), seconds=pause)
            failure = TemporaryFailure(str(rejection), retry_after_seconds=pause)
        except (TemporaryFailure, PermanentFailure) as error:
            failure = error
    if failure is not None:
        for target in targets:
            if target not in results.answers:
                results.failures.setdefault(target, failure)


def _count(chunk: Chunk, results: _Results) -> None:
    outcomes = Counter((target.push_service, _outcome(results, target)) for target in chunk.holders)
    for (service, outcome), count in outcomes.items():
        metrics.PUSHES.labels(service, outcome).inc(count)


def _outcome(results: _Results, target: Target) -> str:
    if target in results.answers:
        return results.answers[target].outcome.value
    return "refused" if isinstance(results.failures.get(target), PermanentFailure) else "failed"


def _fail_the_late(chunk: Chunk, results: _Results) -> None:
    late = TemporaryFailure(f"no answer within {SEND_SECONDS:g} s")
    for target in chunk.holders:
        if target not in results.answers:
            results.failures.setdefault(target, late)


async def _record(services: Services, chunk: Chunk, results: _Results, *, sent_at: datetime) -> None:
    """Write down how it went, in one transaction."""
    now = services.clock()
    again = [target for target, each in results.failures.items() if isinstance(each, TemporaryFailure)]
    failed = chunk.passes_of(again)
    async with services.sessions.begin() as session:
        accepted = results.with_outcome(PushOutcome.ACCEPTED)
        await outbox_chunk.record_accepted(session, chunk, accepted, failed, sent_at=sent_at)
        for target, answer in sorted(results.with_outcome(PushOutcome.DEVICE_GONE).items(), key=_by_token):
            await devices.forget(session, target, reason=answer.reason, now=now)
        for target, failure in sorted(results.failures.items(), key=_by_token):
            for pass_id in chunk.holders[target]:
                owed = chunk.owed[pass_id]
                told = [(target, None, str(failure))]
                await devices.record_pushes(
                    session, owed.program_id, pass_id, owed.version, told, sent_at=sent_at, now=now
                )
        await outbox_chunk.mark_sent(session, chunk, sorted(set(chunk.owed) - set(failed)), now=now)
        await outbox_chunk.mark_failed(session, chunk, failed, now=now)


def _by_token(item: tuple[Target, object]) -> str:
    return item[0].push_token
