"""Where CRMs, shops and tills deliver, at /hooks/{source}: proven, kept as it came, answered 202.

Plain Starlette routes: a shop that changes a thousand orders sends a thousand requests at once. What a
delivery means is found out later, by a job. Whatever is wrong with one is the same 401, which says nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.batches import Batches
from app.crm import Crm, Delivery
from app.crm.known import CRMS
from app.inbox import sources
from app.inbox.models import Source
from app.inbox.receive import Arrived, keep_many
from app.sealing import CannotUnseal
from app.web.database_errors import was_away
from app.web.errors import Problem
from app.wiring import Services

log = structlog.get_logger(__name__)

# A process believes for so long what it read of a source: paused or given a new secret, it hears of it then.
BELIEVED_SECONDS = 2.0
BELIEVED_MAX = 1000
TOGETHER_MAX = 200  # deliveries in one transaction


@dataclass(frozen=True, slots=True)
class Known:
    """A source as the door needs it."""

    id: str
    program_id: str
    crm: Crm
    settings: dict[str, Any]
    secrets: dict[str, str]


class KnownSources:
    """The sources this process read a moment ago, their secrets open."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._believed: dict[str, tuple[float, Known | None]] = {}

    async def get(self, slug: str) -> Known | None:
        """The active source with this slug."""
        until, known = self._believed.get(slug, (0.0, None))
        now = time.monotonic()
        if until > now:
            return known
        known = await self._read(slug)
        if len(self._believed) >= BELIEVED_MAX:  # somebody is guessing
            self._believed.clear()
        self._believed[slug] = (now + BELIEVED_SECONDS, known)
        return known

    def forget(self) -> None:
        """Read every source anew when it is needed next."""
        self._believed.clear()

    async def _read(self, slug: str) -> Known | None:
        async with self._services.read_sessions() as session:
            source = await session.scalar(select(Source).where(Source.slug == slug, Source.state == "active"))
        if source is None or source.kind not in CRMS:
            return None
        try:
            kept = sources.read_secrets(self._services.secret_key, source)
        except CannotUnseal as error:
            log.error("source.sealed", source=slug, reason=str(error))
            return None
        return Known(source.id, source.program_id, CRMS[source.kind], source.settings, kept)


async def receive(request: Request) -> Response | None:
    """POST /hooks/{source} or /hooks/{source}/{token}: 202 once the delivery is on the disk.

    None for an address that looks like a source's and belongs to another door.
    """
    slug: str = request.path_params["source"]
    if slug in sources.RESERVED:
        return None
    services = cast(Services, request.app.state.services)
    known = await cast(KnownSources, request.app.state.sources).get(slug)
    body = await request.body()
    now = services.clock()
    delivery = Delivery(
        url=_called(services, request),
        token=request.path_params.get("token", ""),
        headers=_headers(request),
        body=body,
        received_at=now,
    )
    if known is None or not known.crm.is_authentic(
        delivery, sources.valid_secrets(known.secrets, now=now), known.settings
    ):
        raise Problem(401, "unauthorized", "not accepted")
    arrived = Arrived(
        program_id=known.program_id,
        source_id=known.id,
        event_id=known.crm.event_id(delivery, known.settings),
        url=delivery.url.replace(delivery.token, "...") if delivery.token else delivery.url,
        headers=delivery.headers,
        body=body,
        at=now,
    )
    await cast("Batches[Arrived, str | None]", request.app.state.arrivals).do(arrived)
    return Response(status_code=202)


def arrivals(services: Services) -> Batches[Arrived, str | None]:
    """Keeps deliveries, those that come together in one transaction."""

    async def keep(some: Sequence[Arrived]) -> Sequence[str | None]:
        async with services.sessions.begin() as session:
            return await keep_many(session, some)

    return Batches(keep, most=TOGETHER_MAX, is_of_all=was_away)


def routes() -> list[Route]:
    """The doors of all sources."""
    return [
        Route("/hooks/{source}", receive, methods=["POST"]),
        Route("/hooks/{source}/{token}", receive, methods=["POST"]),
    ]


def address_of(public_url: str, source: Source, secret: str) -> str:
    """Where a source must deliver."""
    token = f"/{secret}" if CRMS[source.kind].has_secret_address(source.settings) else ""
    return f"{public_url}/hooks/{source.slug}{token}"


def _called(services: Services, request: Request) -> str:
    """The address as the sender knows it: behind a proxy the request itself says another."""
    raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    path = raw_path.partition(b"?")[0].decode("latin-1")
    return f"{services.settings.public_url}{path}" + (f"?{query.decode('latin-1')}" if query else "")


def _headers(request: Request) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
