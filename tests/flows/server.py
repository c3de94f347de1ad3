"""The real program as processes of their own, that a test may kill and start again."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.flows.wire import Wire

ROOT = Path(__file__).parents[2]
PASSBELL = "from app.cli import main; main()"  # what the installed command runs
READY_WITHIN_SECONDS = 60.0  # a busy machine; an idle one needs less than two
STOPPED_WITHIN_SECONDS = 30.0
LOG_LINES_SHOWN = 40


class Child:
    """One process of the program: started, killed, started again; its standard error goes to a file."""

    def __init__(
        self, name: str, environment: Mapping[str, str], log: Path, *, inside: Sequence[str] = ()
    ) -> None:
        """`inside` is a command that runs another: ["ip", "netns", "exec", "host1"]."""
        self.name = name
        self._inside = inside
        self.log = log
        self._environment = environment
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._inside,
                *(sys.executable, "-c", PASSBELL, self.name),
                cwd=self.log.parent,  # no .env of whoever runs the tests
                env=dict(self._environment),
                stdout=log,
                stderr=log,
            )

    def assert_runs(self) -> None:
        """Raise when the process ended by itself."""
        assert self._process is not None
        assert self._process.returncode is None, f"{self.name} ended by itself\n{self.last_lines()}"

    async def kill(self) -> None:
        """kill -9: no chance to tidy up."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, as at a deployment; SIGKILL when it does not help."""
        if self._process is None or self._process.returncode is not None:
            return
        try:
            async with asyncio.timeout(STOPPED_WITHIN_SECONDS):
                await self._end(signal.SIGTERM)
        except TimeoutError:
            await self.kill()
            raise

    async def _end(self, how: signal.Signals) -> None:
        self.assert_runs()
        assert self._process is not None
        self._process.send_signal(how)
        await self._process.wait()

    def last_lines(self) -> str:
        """The end of what it wrote, for whoever looks for the reason."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return f"--- {self.log.name}\n" + "\n".join(lines[-LOG_LINES_SHOWN:])


class Server:
    """A web process and its workers. `ready` is set while the web process serves."""

    def __init__(self, url: str, web: Child, workers: list[Child]) -> None:
        self.url = url
        self.web = web
        self.workers = workers
        self.ready = asyncio.Event()

    @property
    def children(self) -> list[Child]:
        return [self.web, *self.workers]

    async def start(self) -> None:
        """Start everything, and wait until requests are served."""
        for child in self.children:
            await child.start()
        await self._wait_until_ready()

    async def kill_and_restart(self, child: Child) -> None:
        """kill -9, then start it again; returns when requests are served."""
        if child is self.web:
            self.ready.clear()
        await child.kill()
        await child.start()
        if child is self.web:
            await self._wait_until_ready()

    async def stop(self) -> None:
        self.ready.clear()
        await asyncio.gather(*(child.stop() for child in self.children))

    async def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        async with Wire(self.url) as wire:
            while not await _is_ready(wire):
                self.web.assert_runs()
                assert time.monotonic() < deadline, f"not ready in time\n{self.web.last_lines()}"
                await asyncio.sleep(0.01)
        self.ready.set()


async def _is_ready(wire: Wire) -> bool:
    try:
        return (await wire.send("GET", "/readyz")).status == 200
    except ConnectionError:
        return False


@asynccontextmanager
async def running(settings: Mapping[str, Any], folder: Path, *, workers: int = 0) -> AsyncGenerator[Server]:
    """The program with these settings for as long as the block runs; its files are kept in `folder`.

    When the block fails, the error carries the last lines of every process's log.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    given = {
        "data_dir": folder / "data",
        "pass_templates_dir": ROOT / "pass_templates",
        "log_format": "json",
        "log_level": "warning",
    }
    environment = environment_of({"port": port, "public_url": url} | given | dict(settings))
    web = Child("serve", environment, folder / "web.log")
    others = [Child("worker", environment, folder / f"worker{number}.log") for number in range(workers)]
    server = Server(url, web, others)
    try:
        await server.start()
        yield server
    except BaseException as error:
        error.add_note("\n".join(child.last_lines() for child in server.children))
        raise
    finally:
        await server.stop()


def environment_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The environment that makes a process of the program see these settings and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PASSBELL_")}
    inherited["PYTHONPATH"] = str(ROOT)
    return inherited | {f"PASSBELL_{name.upper()}": _text(value) for name, value in settings.items()}


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
