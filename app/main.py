"""The web process: build the FastAPI app."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.clock import Clock, utc_now
from app.settings import Settings
from app.web import api, errors
from app.wiring import open_services


def create_app(settings: Settings, *, clock: Clock = utc_now) -> FastAPI:
    """The application; its services open with the server and close with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_services(settings, clock=clock) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Passbell",
        version="0.1.0",
        lifespan=lifespan,
        max_body_size=settings.body_limit_bytes,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    errors.add_error_handlers(app)
    app.include_router(api.router)
    return app
