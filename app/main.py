"""The web process: build the FastAPI app."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.answer_times import Measured, reporting
from app.clock import Clock, utc_now
from app.jobs.running import working
from app.passes.evidence import collecting
from app.passes.gathered import PhoneReads
from app.points.quick import PlainMovements
from app.settings import Settings
from app.web import (
    api,
    apple_passkit,
    console,
    crm_webhooks,
    deal_tab,
    docs_page,
    email_reports,
    enrolment,
    errors,
    google_callback,
    health,
    pass_images,
    pass_page,
    sms_receipts,
    unsubscribe,
    web_card,
    web_card_push,
)
from app.web.api import quick_transactions
from app.web.api.openapi import OPENAPI_URL, describe
from app.web.body_size import BodySize
from app.web.direct import DirectDoors
from app.web.middleware import BodyDeadline, Edge
from app.web.rendering import STATIC, StaticAssets
from app.wiring import open_services


class Application(FastAPI):
    """FastAPI behind our own edge. What is asked the most is answered there, before any of its layers."""

    edge: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self.edge(scope, receive, send)


def create_app(settings: Settings, *, clock: Clock = utc_now) -> Application:
    """The application; its services, and the worker where it works inside, open and close with it."""

    measured = Measured()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            services = await stack.enter_async_context(open_services(settings, clock=clock))
            app.state.services = services
            app.state.sources = crm_webhooks.KnownSources(services)
            app.state.arrivals = crm_webhooks.arrivals(services)
            app.state.phone_reads = PhoneReads(services.reader)
            app.state.plain_movements = PlainMovements(services.engine)
            app.state.evidence = await stack.enter_async_context(collecting(services.sessions))
            await stack.enter_async_context(reporting(measured, services.sessions, clock))
            if settings.works_inside:
                await stack.enter_async_context(working(services))
            yield

    app = Application(
        title="Passbell",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI_URL,
    )
    app.state.is_leaving = False  # set when the process was asked to end: `passbell serve`
    describe(app)
    errors.add_error_handlers(app)
    passkit = apple_passkit.routes()
    app.router.routes.extend(passkit)
    for each in (
        api,
        console,
        deal_tab,
        google_callback,
        health,
        docs_page,
        email_reports,
        enrolment,
        pass_images,
        pass_page,
        sms_receipts,
        unsubscribe,
        web_card,
        web_card_push,
    ):
        app.include_router(each.router)
    app.mount("/static", StaticAssets(directory=STATIC))
    direct = [*passkit, *quick_transactions.routes(), *crm_webhooks.routes()]
    inside = DirectDoors(super(Application, app).__call__, routes=direct, measured=measured)
    inside = BodySize(inside, limit_bytes=settings.body_limit_bytes)
    inside = BodyDeadline(inside, seconds=settings.body_deadline_seconds)
    app.edge = Edge(inside, is_https=settings.public_url.startswith("https://"))
    return app
