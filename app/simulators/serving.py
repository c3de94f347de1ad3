"""An ASGI application on a real loopback socket, inside this process, for as long as a block runs."""

import asyncio
import contextlib
import ssl as tls
from collections.abc import AsyncGenerator, Generator
from socket import socket

import uvicorn
from starlette.types import ASGIApp

_GRACE_SECONDS = 1  # how long requests under way may take to finish when the block ends


class StartupFailed(Exception):
    """The application's lifespan raised while it started; its own log says why."""


class _Server(uvicorn.Server):
    """A guest in somebody else's process: says when it listens, and leaves signals to its host."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit as error:
            raise StartupFailed("the application did not start") from error
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serve(app: ASGIApp, *, ssl: tls.SSLContext | None = None, port: int = 0) -> AsyncGenerator[str]:
    """Serve `app` on 127.0.0.1 and give its base URL, such as "http://127.0.0.1:40123".

    Port 0 takes a free one. With `ssl` the URL is https and its host "localhost", the name that development
    certificates are made for. Raises StartupFailed when the application's lifespan does, OSError when the
    port is taken. Requests still under way when the block ends get a second to finish.
    """
    listener = socket()
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_context_factory=None if ssl is None else lambda _config, _default: ssl,
    )
    server = _Server(config)
    async with contextlib.AsyncExitStack() as cleanup:
        cleanup.callback(listener.close)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait([serving, listening], return_when=asyncio.FIRST_COMPLETED)
        if not server.listening.is_set():
            listening.cancel()
            await serving
        try:
            scheme, host = ("http", "127.0.0.1") if ssl is None else ("https", "localhost")
            yield f"{scheme}://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
