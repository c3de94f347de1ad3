"""The demo as a process: Passbell, its simulated world and the desk, on one event loop."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from app.demo.desk import Desk, open_desk
from app.demo.routes import add_routes
from app.jobs.google_watching import fetch_keys
from app.main import create_app
from app.settings import Settings
from app.simulators.world import World, simulated_world

PORTS_TRIED = 20
HOST = "127.0.0.1"

OnReady = Callable[[str, bool], None]  # the address, and whether its port is the one asked for


class NoFreePort(Exception):
    """Neither the port asked for nor those after it can be listened on."""


async def run(*, port: int, folder: Path, on_ready: OnReady) -> None:
    """Serve the demo until Ctrl-C. What it stores is in `folder`. Raises NoFreePort."""
    listener = listen(port)
    taken = listener.getsockname()[1]
    address = f"http://{HOST}:{taken}"
    try:
        async with simulated_world(folder / "ca") as world:
            app = demo_app(world, demo_settings(world, folder, address))
            server = _Server(app, lambda: on_ready(address, port in (0, taken)))
            await server.serve(sockets=[listener])
    finally:
        listener.close()


def listen(port: int) -> socket.socket:
    """A socket on the port, or on the first free one after it; 0 takes any. Raises NoFreePort."""
    for each in range(port, port + (1 if port == 0 else PORTS_TRIED)):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, each))
        except OSError:
            listener.close()
            continue
        return listener
    raise NoFreePort(port)


def demo_settings(world: World, folder: Path, address: str) -> Settings:
    """Settings for the simulated world: nothing of the real installation's .env reaches the demo."""
    values: dict[str, Any] = {
        **world.settings,
        "public_url": address,
        "data_dir": folder,
        "database_url": f"sqlite:///{folder / 'passbell.db'}",
        "pass_templates_dir": Path(__file__).parents[2] / "pass_templates",
        "proof_of_work_cost": 5_000,
        "google_unavailable_countries": [],  # in the simulated world Russia has it too
    }
    return Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue]  pydantic-settings takes it


def demo_app(world: World, settings: Settings) -> FastAPI:
    """Passbell with the desk's pages; its lifespan opens the desk and the phones after the services."""
    app = create_app(settings)
    add_routes(app)
    serving = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Any]:
        async with serving(app) as state, open_desk(world, app.state.services) as desk:
            app.state.desk = desk
            # A visitor may save a card before the clock first asks for the keys of Google's callbacks.
            await fetch_keys(app.state.services)
            yield state

    app.router.lifespan_context = lifespan
    return app


class _Server(uvicorn.Server):
    """Says when it listens, and ends the pages' event streams before it waits for open requests."""

    def __init__(self, app: FastAPI, on_listening: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        self._app, self._on_listening = app, on_listening

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # uvicorn's own raises the signal again at the end, which would break off the closing of the world.
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self.handle_exit, each, None)
        try:
            yield
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(each)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        desk: Desk = self._app.state.desk
        desk.close_streams()
        await super().shutdown(sockets=sockets)
