"""The processes of an installation: `passbell serve` and `worker`; `passbell health` asks after the first."""

import gc
import http.client
import json
import signal
import time
from types import FrameType

import structlog
import typer
import uvicorn
import uvloop
from fastapi import FastAPI

from app import logs, worker
from app.main import create_app
from app.settings import Settings, read_settings, unknown_variables

log = structlog.get_logger(__name__)

GRACE_SECONDS = 20
HEALTH_SECONDS = 5
_CLOSES = (b"connection", b"close")


def serve_command() -> None:
    """Answer requests: the API, the forms, the pass pages and the phones."""
    settings = _begin()
    application = create_app(settings)
    server = DrainingServer(serving_config(settings, application), application, settings.drain_seconds)
    collect_rarely()
    server.run()


class DrainingServer(uvicorn.Server):
    """On SIGTERM first says that it is about to go, and goes when nobody sends it requests any more.

    For `drain_seconds` /readyz answers 503 and each answer ends its connection, while everything is served
    as before: a load balancer turns to others before anybody meets a closed door. Ctrl-C, or a second
    SIGTERM, ends at once.
    """

    def __init__(self, config: uvicorn.Config, application: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._application, self._drain_seconds = application, drain_seconds
        self._until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and self._drain_seconds and self._until is None:
            self._application.state.is_leaving = True
            self._until = time.monotonic() + self._drain_seconds
            log.info("serve.draining", seconds=self._drain_seconds)
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        is_over = await super().on_tick(counter)
        if self._until is None:
            return is_over
        if _CLOSES not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSES]
        return is_over or time.monotonic() >= self._until


def serving_config(settings: Settings, application: FastAPI) -> uvicorn.Config:
    """How uvicorn serves; a client's address is taken from X-Forwarded-For of trusted proxies only."""
    return uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def collect_rarely() -> None:
    """Let the garbage collector leave the loaded code alone and look at the rest thirty times less often.

    Nearly everything a request makes goes when its last user does. At Python's defaults the search for
    cycles took an eighth of a busy server's time.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 10, 10)


def worker_command() -> None:
    """Do the work that requests wrote down: pushes, messages, nightly jobs."""
    settings = _begin()
    collect_rarely()
    uvloop.run(worker.run(settings))


def _begin() -> Settings:
    """The settings of a process that logs; a variable that sets nothing is a warning in its log."""
    settings = read_settings()
    logs.configure(settings.log_level, settings.log_format)
    for name, meant in unknown_variables().items():
        log.warning("settings.unknown", variable=name, did_you_mean=meant)
    return settings


def health_command() -> None:
    """Ask the server of these settings whether it is well; exit with 1 if not. For containers."""
    settings = read_settings()
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  listening to all
    connection = http.client.HTTPConnection(host, settings.port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        status, body = answer.status, answer.read(1000)
    except (OSError, http.client.HTTPException) as error:
        typer.echo(f"{host}:{settings.port} does not answer: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        typer.echo(f"{host}:{settings.port} answers {status}", err=True)
        raise typer.Exit(1)
    typer.echo(json.loads(body)["status"])
