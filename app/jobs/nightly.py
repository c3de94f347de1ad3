"""What the clock starts: points expire, tiers follow their period, the books are proved, old rows go.

The clock only puts a job into the queue: a night in which the database was away for a moment is made up for.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog
from sqlalchemy import delete

from app import metrics, rate_limits
from app.db import open_read_engine
from app.enrolment import proof
from app.inbox.handle import forget_handled
from app.job_queue import JsonScalar, enqueue, kinds
from app.jobs import google_watching, retention, update_google
from app.members import idempotency
from app.passes import budget, google_callbacks, scans
from app.passes.models import DeviceLog
from app.points import expire, tiers
from app.points.reconcile import reconcile as prove
from app.staff import sessions
from app.webhooks import deliveries
from app.wiring import Services

log = structlog.get_logger(__name__)

BATCH = 200
DEVICE_LOG_KEPT = timedelta(days=14)
IDEMPOTENCY_KEPT = timedelta(days=35)


async def ask_for(services: Services, duty: str) -> None:
    """Have a duty done, and tried again where it fails."""
    async with services.sessions.begin() as session:
        await enqueue(session, kinds.NIGHTLY, {"duty": duty}, priority=kinds.BULK)


async def do(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Do one duty. Doing it twice does no harm."""
    _, function = DUTIES[str(args["duty"])]
    await function(services)


async def expire_points(services: Services) -> None:
    """Take away what is past its date, a batch in each transaction, until nothing is."""
    total = 0
    while True:
        async with services.sessions.begin() as session:
            expired = await expire.expire_due(session, limit=BATCH, now=services.clock())
        total += expired
        if not expired:  # fewer than a batch may mean that some were left as they are
            break
    if total:
        log.info("points.expired", lots=total)


async def retier(services: Services) -> None:
    """Move the accounts whose rolling period has moved on, a batch in each transaction."""
    while True:
        async with services.sessions.begin() as session:
            moved = await tiers.retier_due(session, limit=BATCH, now=services.clock())
        if moved < BATCH:
            return


async def reconcile(services: Services) -> None:
    """Prove balances, sequences, lots and the outbox; what does not add up is an error in the log."""
    reading = open_read_engine(services.settings.database_url, for_reports=True)  # tills do not wait for it
    try:
        report = await prove(reading, now=services.clock())
    finally:
        await reading.dispose()
    for mismatch in report.mismatches:
        log.error("reconcile.mismatch", kind=mismatch.kind, table=mismatch.table, row=mismatch.id)
    metrics.LEDGER_MISMATCHES.set(len(report.mismatches))
    log.info("reconcile.done", accounts=report.accounts, mismatches=len(report.mismatches))


async def prune(services: Services) -> None:
    """Drop what is past its use: proofs, limits at rest, phones' log lines, deliveries, answers, sessions."""
    now = services.clock()
    async with services.sessions.begin() as session:
        await proof.forget_expired(session, now=now)
        await rate_limits.forget_idle(session, now=now)
        await deliveries.forget_old(session, now=now)
        await forget_handled(session, now=now)
        await budget.forget_old(session, now=now)
        await google_callbacks.forget_old(session, now=now)
        await scans.forget_old(session, now=now)
        await sessions.forget_old(session, now=now)
        await idempotency.forget(session, before=now - IDEMPOTENCY_KEPT)
        await session.execute(delete(DeviceLog).where(DeviceLog.at < now - DEVICE_LOG_KEPT))


# By name: when, in UTC, and what.
DUTIES: dict[str, tuple[str, Callable[[Services], Awaitable[None]]]] = {
    "expire_points": ("17 * * * *", expire_points),
    "retier": ("40 0 * * *", retier),
    "reconcile": ("10 1 * * *", reconcile),
    "google_passes": ("50 1 * * *", update_google.offer_to_all),
    "google_holders": ("20 2 * * *", google_watching.check_night),
    "prune": ("30 2 * * *", prune),
    "retention": ("45 2 * * *", retention.prune),
}
