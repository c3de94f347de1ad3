"""Bringing a pass at Google to its newest version: insert it, change it, and ring where the budget allows.

Read, send, write: no transaction is open while Google answers. Sending a version twice does no harm: a PATCH
says what is, and Google rings for a value only when it differs.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import metrics
from app.errors import PermanentFailure, TemporaryFailure
from app.job_queue import JsonScalar, Retry
from app.jobs import google_access
from app.jobs.google_access import SERVICE
from app.jobs.google_messages import MessageDeferred, tell_news
from app.jobs.google_sending import Brought, Card, bring
from app.jobs.google_turns import Lane, Turns
from app.members.models import Program
from app.passes import budget, google_objects, outbox, trace
from app.passes.content import content_of, google_program
from app.passes.models import GoogleObject, Pass, Update
from app.passes.versions import GOOGLE
from app.wallets.google.api import Body, GoogleApi
from app.wallets.google.errors import IssuerRefused, NotAccepted, TooFast
from app.wallets.google.wallet import GoogleWallet
from app.wiring import Services

log = structlog.get_logger(__name__)

# Waits double from 2 s up to 15 min: gives up after about two days, and the sweep takes it up again.
RETRY = Retry(attempts_max=200, first_wait_seconds=2, longest_wait_seconds=900)
# At most so many at once, over all workers: they mostly wait for turns, and Apple's pushes need room too.
SEATS = 16  # of campaigns
LIVE_SEATS = 32
LEASE = timedelta(seconds=120)  # five requests of 10 s at most, and their turns
SILENT_FOR = timedelta(minutes=30)
SWEEP_MAX = 1000
NEW_FOR = timedelta(hours=1)
# A body that Google cannot use is tried again, for a picture may have been away; then a person must look.
REFUSED_WAITS_SECONDS = (60.0, 600.0, 3600.0, 21_600.0)


async def update_google(services: Services, args: Mapping[str, JsonScalar], *, is_bulk: bool = False) -> None:
    """Bring Google's object of a pass to the newest version.

    Raises TemporaryFailure for another try, after everything is written down; PermanentFailure when Google
    refused the body for the last time: the job is held, and shown by `passbell jobs`.
    """
    pass_id = str(args["pass_id"])
    google, wallet = _connected(services)
    lane = await _lane(services, pass_id, is_bulk=is_bulk)
    if lane is None:
        return
    turns = Turns(services, lane)
    await turns.take_first()
    card = await _take(services, wallet, pass_id, is_bulk=is_bulk)
    if card is None:
        return
    brought: Brought | None = None
    try:
        brought = await bring(services, google, card, turns)
        await _record(services, card, brought)
        await tell_news(services, google, card, brought.stored, turns)
    except (TemporaryFailure, PermanentFailure) as failure:
        raise await _failed(services, card, failure, is_brought=brought is not None) from failure
    async with services.sessions.begin() as session:
        await outbox.mark_sent(session, card.taken, now=services.clock())
    metrics.PUSHES.labels(SERVICE, "accepted").inc()


def _connected(services: Services) -> tuple[GoogleApi, GoogleWallet]:
    api = google_access.connected(services)
    assert services.google is not None, "the API and the wallet are set up together"
    return api, services.google


async def _lane(services: Services, pass_id: str, *, is_bulk: bool) -> Lane | None:
    """Which turns to take; None when there is nothing to do."""
    query = (
        select(
            (Update.wanted_version > Update.sent_version).label("is_owed"),
            GoogleObject.object_id.is_not(None).label("is_known"),
        )
        .outerjoin(GoogleObject, GoogleObject.pass_id == Update.pass_id)
        .where(Update.pass_id == pass_id, Update.wallet == GOOGLE)
    )
    async with services.read_sessions() as session:
        row = (await session.execute(query)).one_or_none()
    if row is None or not row.is_owed:
        return None
    if is_bulk:
        return Lane.CAMPAIGN
    return Lane.BALANCE if row.is_known else Lane.ENROL


async def _take(services: Services, wallet: GoogleWallet, pass_id: str, *, is_bulk: bool) -> Card | None:
    """The pass, taken and read in one moment; None when nothing is owed any more."""
    async with services.sessions.begin() as session:
        taken = await outbox.take(session, pass_id, GOOGLE, lease=LEASE, now=services.clock())
        if isinstance(taken, outbox.Taken):
            return await _read(session, wallet, taken, is_bulk=is_bulk, services=services)
    if isinstance(taken, outbox.Later):
        # Whoever holds the pass will enqueue what came meanwhile; this job only returns in case it died.
        raise TemporaryFailure(taken.why, retry_after_seconds=taken.seconds)
    return None


async def _read(
    session: AsyncSession, wallet: GoogleWallet, taken: outbox.Taken, *, is_bulk: bool, services: Services
) -> Card:
    issued = await session.get_one(Pass, taken.pass_id)
    program = await session.get_one(Program, taken.program_id)
    shared = google_program(program)
    content = await content_of(session, issued)
    linked = await google_objects.beside(session, issued) if wallet.links_others(issued.template) else []
    body = wallet.object_body(
        issued.template, shared, content, serial_number=issued.serial_number, linked=linked
    )
    class_body = wallet.class_body(issued.template, shared, content)
    known = await session.get(GoogleObject, issued.id)
    purpose: budget.Purpose = "campaign" if is_bulk else "live"
    decision, has_counted = await _decide(session, program, taken, known, body, purpose, services=services)
    return Card(
        taken=taken,
        issued=issued,
        kind=wallet.kind(issued.template),
        body=body,
        class_body=class_body,
        is_class_current=await google_objects.class_is_current(session, body["classId"], class_body),
        sent=known.sent if known else {},
        decision=decision,
        purpose=purpose,
        is_held=known is not None and known.has_users,
        has_counted=has_counted,
    )


async def _decide(
    session: AsyncSession,
    program: Program,
    taken: outbox.Taken,
    known: GoogleObject | None,
    body: Body,
    purpose: budget.Purpose,
    *,
    services: Services,
) -> tuple[budget.Decision, bool]:
    """Whether this change rings, and whether it was counted just now: before it is sent."""
    balances = google_objects.hashes_of(body)[google_objects.BALANCES]
    if known is None or not known.sent:
        return budget.Decision("silent", "first_version"), False
    if not known.has_users:
        return budget.Decision("silent", "held_by_nobody"), False
    if known.sent.get(google_objects.BALANCES) == balances:
        return budget.Decision("silent", "balance_unchanged"), False
    now, key = services.clock(), f"v{taken.version}"
    if await budget.is_counted(session, taken.pass_id, GOOGLE, "field", key=key):
        return budget.Decision("rings", "within_budget"), False
    rang = await budget.rang_today(session, taken.pass_id, now=now)
    decision = budget.decide(budget.rules_of(program), rang, GOOGLE, "field", purpose, now=now)
    if decision.outcome != "rings":
        return decision, False
    await budget.count(
        session, taken.program_id, taken.pass_id, GOOGLE, "field", key=key, purpose=purpose, now=now
    )
    return decision, True


async def _record(services: Services, card: Card, brought: Brought) -> None:
    if brought.stored is None:
        return
    now = services.clock()
    async with services.sessions.begin() as session:
        await google_objects.record_sent(
            session,
            card.issued,
            resource=card.resource,
            body=card.body,
            has_users=brought.stored.get("hasUsers"),
            now=now,
        )
        await _tell_story(session, card, brought, now=now)


async def _tell_story(session: AsyncSession, card: Card, brought: Brought, *, now: datetime) -> None:
    if brought.is_inserted:
        kind, details = trace.GOOGLE_INSERTED, {}
    else:
        kind = trace.GOOGLE_UPDATED
        details = {"notify": card.decision.outcome, "why": card.decision.why}
    taken = card.taken
    await trace.record(
        session, taken.program_id, [taken.pass_id], kind, version=taken.version, details=details, now=now
    )


async def _failed(
    services: Services, card: Card, failure: TemporaryFailure | PermanentFailure, *, is_brought: bool
) -> TemporaryFailure | PermanentFailure:
    """Write down a failure; the one to raise for it."""
    now, taken = services.clock(), card.taken
    retry: TemporaryFailure | PermanentFailure = failure
    is_final = False
    if isinstance(failure, IssuerRefused):
        retry = google_access.stop(services, failure)
    elif isinstance(failure, PermanentFailure):
        is_final = taken.attempts >= len(REFUSED_WAITS_SECONDS)
        log.warning("google.refused", reason=str(failure), pass_id=taken.pass_id, for_good=is_final)
        if not is_final:
            wait = REFUSED_WAITS_SECONDS[taken.attempts]
            retry = TemporaryFailure(str(failure), retry_after_seconds=wait)
    async with services.sessions.begin() as session:
        if card.has_counted and not is_brought and isinstance(failure, TooFast | IssuerRefused | NotAccepted):
            await budget.give_back(session, taken.pass_id, GOOGLE, "field", key=card.key)
        if isinstance(failure, NotAccepted):
            await google_objects.record_refusal(session, card.issued.id, str(failure))
            await outbox.mark_refused(session, taken, for_good=is_final, now=now)
        else:
            await outbox.mark_failed(session, taken, now=now)
        if not isinstance(failure, TooFast | MessageDeferred):
            details = {"reason": str(failure)}
            await trace.record_once(
                session,
                taken.program_id,
                taken.pass_id,
                trace.GOOGLE_REFUSED,
                version=taken.version,
                details=details,
                now=now,
            )
    metrics.PUSHES.labels(SERVICE, "refused" if isinstance(retry, PermanentFailure) else "failed").inc()
    return retry


async def sweep(services: Services) -> None:
    """Every minute: enqueue what an accident left behind, and new passes that nobody sent to Google."""
    now = services.clock()
    async with services.sessions.begin() as session:
        found = await outbox.sweep(session, GOOGLE, silent_for=SILENT_FOR, limit=SWEEP_MAX, now=now)
    await _offer(services, issued_after=now - NEW_FOR)
    if found:
        log.warning("outbox.swept", passes=found, wallet=GOOGLE)


async def offer_to_all(services: Services) -> None:
    """At night: insert the passes that were issued before Google Wallet was set up."""
    while await _offer(services, issued_after=None):
        pass


async def _offer(services: Services, *, issued_after: datetime | None) -> int:
    if services.google is None:
        return 0
    async with services.sessions.begin() as session:
        return await google_objects.owe_missing(
            session,
            not_in=services.settings.google_unavailable_countries,
            issued_after=issued_after,
            limit=SWEEP_MAX,
            now=services.clock(),
        )
