"""Telling the browsers that keep a web card what changed on it.

Browsers demand that every push shows something, so a change without words of its own (no field with a change
message moved) is not pushed: the card shows it when it is opened.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import metrics
from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import JsonScalar, Retry, kinds
from app.members.models import Program
from app.passes import budget, outbox, trace, web_cards
from app.passes.content import content_of
from app.passes.models import Pass, Update
from app.passes.versions import WEB
from app.wallets.templates import UnknownTemplate
from app.wallets.web.card import news, shown_values, web_card
from app.wallets.web.encryption import BrowserKeys
from app.wallets.web.push import Subscription, VapidRefused, WebPushed
from app.wiring import Services

log = structlog.get_logger(__name__)

# As for Apple's phones: waits double from 5 s up to 15 min, about two days; then the sweep takes it up.
RETRY = Retry(attempts_max=200, first_wait_seconds=5, longest_wait_seconds=900)
SILENT_FOR = timedelta(minutes=30)
SWEEP_MAX = 1000


@dataclass(frozen=True)
class News:
    """What one browser is to be told. `words` are empty when nothing that tells of itself has changed."""

    subscription: Subscription
    title: str
    words: str
    shown: Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """What became of it."""

    news: News
    result: WebPushed | None
    failure: TemporaryFailure | PermanentFailure | None


async def push_web(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Tell every browser that has not heard of the newest version; forget those that are gone.

    Read, send, write: no transaction is open while a push service answers. Raises the TemporaryFailure that
    ends soonest, after everything is written down; the retry tells only those that were not told.
    """
    pass_id = str(args["pass_id"])
    async with services.sessions.begin() as session:
        taken = await outbox.take(session, pass_id, WEB, now=services.clock())
        found = await _news(services, session, taken) if isinstance(taken, outbox.Taken) else []
        if isinstance(taken, outbox.Taken) and any(each.words for each in found):
            found = await _within_budget(services, session, taken, found)
    if taken is outbox.Idle.NOTHING_OWED:
        return
    if isinstance(taken, outbox.Later):
        raise TemporaryFailure(taken.why, retry_after_seconds=taken.seconds)

    told = await asyncio.gather(*(_tell(services, taken, each) for each in found))

    failures = [each.failure for each in told if isinstance(each.failure, TemporaryFailure)]
    async with services.sessions.begin() as session:
        for each in told:
            await _record(session, taken, each, services=services)
        if failures:
            await outbox.mark_failed(session, taken, now=services.clock())
        else:
            await outbox.mark_sent(session, taken, now=services.clock())
    if failures:
        raise min(failures, key=lambda failure: failure.retry_after_seconds or 0.0)


async def _news(services: Services, session: AsyncSession, taken: outbox.Taken) -> list[News]:
    issued = await session.get_one(Pass, taken.pass_id)
    template = services.templates.get(issued.template)
    if template is None:
        raise UnknownTemplate(f"pass template {issued.template!r} is not in the templates' folder")
    found: list[News] = []
    for each in await web_cards.to_tell(session, taken.pass_id, taken.version):
        card = web_card(template, await content_of(session, issued, language=each.language))
        subscription = Subscription(each.endpoint, BrowserKeys(each.p256dh, each.auth))
        found.append(News(subscription, card.name, news(card, each.shown), shown_values(card)))
    return found


async def _within_budget(
    services: Services, session: AsyncSession, taken: outbox.Taken, found: list[News]
) -> list[News]:
    """What may ring now, counted before it is sent; the rest loses its words and is shown in silence."""
    now, key = services.clock(), f"v{taken.version}"
    if await budget.is_counted(session, taken.pass_id, WEB, "field", key=key):
        return found
    priority = await session.scalar(
        select(Update.priority).where(Update.pass_id == taken.pass_id, Update.wallet == WEB)
    )
    purpose: budget.Purpose = "campaign" if priority == kinds.BULK else "live"
    rules = budget.rules_of(await session.get_one(Program, taken.program_id))
    rang = await budget.rang_today(session, taken.pass_id, now=now)
    decision = budget.decide(rules, rang, WEB, "field", purpose, now=now)
    if decision.outcome != "rings":
        details: trace.Details = {"notify": decision.outcome, "why": decision.why}
        await _tell_story(session, taken, trace.WEB_SILENT, details, services=services)
        return [replace(each, words="") for each in found]
    await budget.count(
        session, taken.program_id, taken.pass_id, WEB, "field", key=key, purpose=purpose, now=now
    )
    return found


async def _tell(services: Services, taken: outbox.Taken, found: News) -> Told:
    if not found.words:
        return Told(found, None, None)
    told = await _push(services, taken, found)
    outcome = told.result.value if told.result else "failed"
    metrics.PUSHES.labels(WEB, "refused" if isinstance(told.failure, PermanentFailure) else outcome).inc()
    return told


async def _push(services: Services, taken: outbox.Taken, found: News) -> Told:
    now = services.clock()
    stopped = services.push_stop.seconds_left(WEB, now)
    if stopped:
        waiting = TemporaryFailure("web pushes are stopped", retry_after_seconds=stopped)
        return Told(found, None, waiting)
    payload = {"title": found.title, "body": found.words}
    topic = web_cards.endpoint_hash(taken.pass_id)[:32]
    try:
        sent = await services.web_push.send(found.subscription, payload, topic=topic, now=now)
    except VapidRefused as refusal:
        # Ours, not this browser's: the pass stays owed, and one push after the pause finds out.
        pause = services.push_stop.stop(WEB, str(refusal), now)
        log.error("push.stopped", service=WEB, reason=str(refusal), seconds=pause)
        return Told(found, None, TemporaryFailure(str(refusal), retry_after_seconds=pause))
    except (TemporaryFailure, PermanentFailure) as failure:
        return Told(found, None, failure)
    return Told(found, sent, None)


async def _record(session: AsyncSession, taken: outbox.Taken, told: Told, *, services: Services) -> None:
    endpoint, now = told.news.subscription.endpoint, services.clock()
    if told.result is WebPushed.GONE:
        await web_cards.forget(session, taken.program_id, taken.pass_id, [endpoint], now=now)
        return
    if told.result is WebPushed.ACCEPTED:
        await _tell_story(session, taken, trace.PUSH_ACCEPTED, {"wallet": WEB}, services=services)
    elif told.failure is not None:
        details = {"wallet": WEB, "reason": str(told.failure)}
        await _tell_story(session, taken, trace.PUSH_REFUSED, details, services=services)
    if not isinstance(told.failure, TemporaryFailure):
        await web_cards.record_told(session, endpoint, version=taken.version, shown=told.news.shown, now=now)


async def _tell_story(
    session: AsyncSession, taken: outbox.Taken, kind: str, details: trace.Details, *, services: Services
) -> None:
    await trace.record(
        session,
        taken.program_id,
        [taken.pass_id],
        kind,
        version=taken.version,
        details=details,
        now=services.clock(),
    )


async def sweep(services: Services) -> None:
    """Every minute: enqueue what was left behind by an accident. Finding nothing is the usual case."""
    async with services.sessions.begin() as session:
        found = await outbox.sweep(session, WEB, silent_for=SILENT_FOR, limit=SWEEP_MAX, now=services.clock())
    if found:
        log.warning("outbox.swept", passes=found, wallet=WEB)
