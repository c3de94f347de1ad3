"""The program as processes of its own, on a fresh database, in a simulated world: what benchmarks measure."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import make_url

from app import migrations
from app.clock import utc_now
from app.db import open_engine, open_sessions
from app.simulators.world import World, simulated_world
from tests.flows.crowd import Crowd, make_crowd
from tests.flows.server import Server, running

DATABASES = ("sqlite", "postgresql")
POSTGRES = make_url(
    os.environ.get("PASSBELL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
)
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Program:
    """A running program with members in its database."""

    server: Server
    world: World
    crowd: Crowd
    secret_key: bytes
    database_url: str


@asynccontextmanager
async def open_program(
    database: str, *, members: int, apns_seconds: tuple[float, float] = (0.0, 0.0), **settings: Any
) -> AsyncGenerator[Program]:
    """One web process with the worker inside, whatever the database, unless `settings` say otherwise."""
    folder = Path(tempfile.mkdtemp(prefix="passbell-bench-"))
    try:
        async with (
            database_for(database, folder) as url,
            simulated_world(folder / "world", latency_seconds=apns_seconds) as world,
        ):
            crowd = await _populate(url, members)
            secret_key = secrets.token_hex(32)
            given = (
                world.settings | {"database_url": url, "secret_key": secret_key, "worker": True} | settings
            )
            async with running(given, folder) as server:
                yield Program(server, world, crowd, secret_key.encode(), url)
    finally:
        shutil.rmtree(folder)


async def _populate(url: str, members: int) -> Crowd:
    engine = open_engine(url)
    await migrations.upgrade(engine)
    async with open_sessions(engine).begin() as session:
        crowd = await make_crowd(session, members, now=utc_now())
    await engine.dispose()
    return crowd


@asynccontextmanager
async def database_for(kind: str, folder: Path) -> AsyncGenerator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/passbell.db"
        return
    name = f"passbell_bench_{secrets.token_hex(4)}"
    server = await asyncpg.connect(POSTGRES.render_as_string(hide_password=False))
    await server.execute(f'CREATE DATABASE "{name}"')
    try:
        yield POSTGRES.set(database=name).render_as_string(hide_password=False)
    finally:
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await server.close()


def cpu_seconds(pid: int) -> float:
    """What a process has used of all cores so far: the figure that a busy machine does not spoil."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def memory_mb(pid: int) -> float:
    """The resident set of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024


def report(benchmark: str, value: float, unit: str, **others: Any) -> None:
    """Print one result as a JSON line."""
    print(json.dumps({"benchmark": benchmark, "value": value, "unit": unit} | others), flush=True)
