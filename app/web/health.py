"""Is it up, is it ready, how is it doing: /healthz, /readyz, /metrics."""

import asyncio
import hmac
import ipaddress
from collections.abc import Mapping
from datetime import datetime
from typing import get_args

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app import job_queue, metrics, migrations
from app.db import DATABASE_AWAY
from app.passes import google_callbacks, google_objects
from app.passes.models import Update
from app.wallets.apple import certificates
from app.wallets.apple.push import PushService
from app.web.dependencies import FromServices, Now
from app.web.errors import Problem
from app.wiring import Services

router = APIRouter(include_in_schema=False)

WARN_DAYS = max(certificates.EXPIRY_WARNING_DAYS)
DATABASE_SECONDS = 5.0  # a database that hangs is no better than one that is away


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def healthz() -> dict[str, str]:
    """The process answers. Says nothing of the database: restarting us would not mend that."""
    return {"status": "ok"}


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(request: Request, services: FromServices, now: Now) -> Response:
    """Whether requests should be sent here: 503 when one of the checks fails. Warnings do not fail."""
    leaving = "asked to stop" if request.app.state.is_leaving else "ok"
    checks = {"database": await _database(services), "process": leaving}
    warnings = _warnings(services, now)
    is_ready = all(answer == "ok" for answer in checks.values())
    return JSONResponse(
        {"status": "ok" if is_ready else "unavailable", "checks": checks, "warnings": warnings},
        200 if is_ready else 503,
    )


@router.get("/metrics")
async def read_metrics(request: Request, services: FromServices, now: Now) -> Response:
    """Prometheus metrics: for the bearer of PASSBELL_METRICS_TOKEN, without one for loopback only."""
    _permit(request, services)
    await _measure(services, now)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _database(services: Services) -> str:
    try:
        async with asyncio.timeout(DATABASE_SECONDS), services.read_sessions() as session:
            await session.execute(text("SELECT 1"))
            is_current = await migrations.is_current(services.engine)
    except DATABASE_AWAY as error:
        return type(error).__name__
    return "ok" if is_current else "not migrated: run `passbell migrate`"


def _warnings(services: Services, now: datetime) -> list[str]:
    found: list[str] = []
    if services.signer is None:
        found.append("no Apple certificate is set: passes cannot be signed")
    for name, days in _certificate_days(services, now).items():
        if days <= WARN_DAYS:
            found.append(f"the {name} certificate expires in {days} days")
    for service, reason in services.push_stop.reasons(now).items():
        found.append(f"pushes to {service} are stopped: {reason}")
    return found


def _certificate_days(services: Services, now: datetime) -> Mapping[str, int]:
    if services.signer is None:
        return {}
    chain = {f"intermediate {number}": each for number, each in enumerate(services.signer.chain, 1)}
    every = {"pass type": services.signer.certificate, **chain}
    return {name: certificates.days_left(certificate, now) for name, certificate in every.items()}


def _permit(request: Request, services: Services) -> None:
    wanted = services.settings.metrics_token
    if wanted is not None:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {wanted.get_secret_value()}".encode()):
            raise Problem(401, "unauthorized", "Send PASSBELL_METRICS_TOKEN as a bearer token.")
    elif not _is_local(request):
        raise Problem(403, "forbidden", "Set PASSBELL_METRICS_TOKEN to read metrics from other hosts.")


def _is_local(request: Request) -> bool:
    """Whether the reader sits on this machine: a loopback address that no proxy stands in for."""
    if any(name in request.headers for name in ("x-forwarded-for", "forwarded")):
        return False
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


async def _measure(services: Services, now: datetime) -> None:
    try:
        async with asyncio.timeout(DATABASE_SECONDS), services.read_sessions() as session:
            await _measure_database(session, now)
        metrics.DATABASE_UP.set(1)
    except DATABASE_AWAY:  # the very moment when the rest must be readable
        metrics.DATABASE_UP.set(0)
    stopped = services.push_stop.reasons(now)
    for service in (*get_args(PushService), "google"):
        metrics.PUSH_STOPPED.labels(service).set(1 if service in stopped else 0)
    for name, days in _certificate_days(services, now).items():
        metrics.CERTIFICATE_DAYS.labels(name).set(days)


async def _measure_database(session: AsyncSession, now: datetime) -> None:
    jobs = await job_queue.stats(session)
    owed = select(func.count(), func.min(Update.wanted_at)).where(Update.wanted_version > Update.sent_version)
    behind, oldest = (await session.execute(owed)).one()
    metrics.JOBS.clear()
    for each in jobs:
        metrics.JOBS.labels(each.kind, each.state).set(each.count)
    metrics.GOOGLE_UNANNOUNCED.set(await google_callbacks.unannounced(session, now=now))
    metrics.GOOGLE_REFUSED.set((await google_objects.refused(session))[0])
    metrics.PASSES_BEHIND.set(behind)
    metrics.OLDEST_OWED_SECONDS.set((now - oldest).total_seconds() if oldest else 0)
