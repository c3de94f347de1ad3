"""304 answers per second of one web process: phones that ask for a pass they already have.

    python -m benchmarks.conditional_get [sqlite] [postgresql] [--seconds 5] [--connections 64]

The server runs in a process of its own with the settings of production (requests logged, to /dev/null); the
phones are bare sockets in this one. Prints one JSON line per database: 304s a second, then for comparison
polls with nothing new (204) and whole signed passes (200). `cpu_us` is the processor time the server spent
on one answer: a million divided by it is what one undisturbed core gives. PostgreSQL is the server at
PASSBELL_TEST_POSTGRES_URL, by default postgresql://postgres@127.0.0.1:5432/postgres.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import asyncpg
import uvicorn
from sqlalchemy import make_url

from app import logs, migrations
from app.db import new_id, open_engine, open_sessions
from app.main import create_app
from app.members.models import Account, Member, Program
from app.passes import devices
from app.passes.issue import authentication_token, issue
from app.settings import Settings
from app.wallets.apple.dev_ca import DevelopmentCa
from app.web.apple_passkit import http_date

PASSES = 2000
PASS_TYPE = "pass.org.passbell.benchmark"
SECRET = secrets.token_urlsafe(48)
POSTGRES_URL = os.environ.get("PASSBELL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


def serve() -> None:
    settings = Settings()
    logs.configure(settings.log_level, "json")
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(create_app(settings), access_log=False, log_config=None)
    uvicorn.Server(config).run([listener])


async def fill(database_url: str) -> list[tuple[str, int]]:
    """Issue the passes, each on one device that is named as the pass; serial numbers and dates."""
    now = datetime.now(UTC)
    engine = open_engine(database_url)
    await migrations.upgrade(engine)
    async with open_sessions(engine).begin() as session:
        program = Program(
            id=new_id("prg"), slug="coffee", name="Coffee", country="RU", language="en", currency="RUB",
            time_zone="Europe/Moscow", template="coffee", created_at=now,
        )  # fmt: skip
        session.add(program)
        await session.flush()
        issued = []
        for number in range(PASSES):
            account = Account(id=new_id("acc"), program_id=program.id, created_at=now)
            session.add(account)
            await session.flush()
            member = Member(
                id=new_id("mem"), program_id=program.id, account_id=account.id, card_number=str(number),
                name="Anna", language="en", answers={}, created_at=now,
            )  # fmt: skip
            session.add(member)
            await session.flush()
            held = await issue(session, member, template="coffee", now=now)
            await devices.register(
                session,
                held.serial_number,
                device_library_identifier=held.serial_number,
                push_service="apns",
                push_token=secrets.token_hex(32),
                now=now,
            )
            issued.append((held.serial_number, held.last_modified))
    await engine.dispose()
    return issued


@asynccontextmanager
async def serving(database_url: str, folder: Path) -> AsyncGenerator[tuple[int, int]]:
    ca = DevelopmentCa.open(
        folder / "ca", pass_type_identifier=PASS_TYPE, team_identifier="BENCH00000", now=datetime.now(UTC)
    )
    settings = {
        "MODE": "demo",
        "WORKER": "false",
        "DATABASE_URL": database_url,
        "DATA_DIR": str(folder),
        "SECRET_KEY": SECRET,
        "APPLE_CERTIFICATE_PATH": str(ca.leaf.certificate_path),
        "APPLE_PRIVATE_KEY_PATH": str(ca.leaf.private_key_path),
        "APPLE_WWDR_CERTIFICATE_PATH": str(ca.wwdr.certificate_path),
    }
    environment = os.environ | {f"PASSBELL_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "benchmarks.conditional_get", "--serve"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


class Phones(asyncio.Protocol):
    """One kept connection that sends the next request as soon as the last one is answered."""

    def __init__(self, requests: Sequence[bytes], status: bytes) -> None:
        self.requests, self.expected = requests, b"HTTP/1.1 " + status
        self.seconds: list[float] = []
        self.wrong = 0
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(random.choice(self.requests))

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self.received = b""
        self.seconds.append(time.perf_counter() - self.sent_at)
        self.wrong += not head.startswith(self.expected)
        self.ask()


def _length(head: bytes) -> int:
    if head.startswith((b"HTTP/1.1 304", b"HTTP/1.1 204")):
        return 0
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


async def measure(
    port: int, pid: int, requests: Sequence[bytes], status: bytes, *, seconds: float, connections: int
) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: Phones(requests, status), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(1)  # warm up
    phones = [phone for _, phone in opened]
    for phone in phones:
        phone.seconds.clear()
    started, cpu = time.perf_counter(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    taken = [each for phone in phones for each in phone.seconds]
    elapsed, cpu = time.perf_counter() - started, cpu_seconds(pid) - cpu
    for transport, _ in opened:
        transport.abort()
    if any(phone.wrong for phone in phones):
        raise SystemExit(f"{sum(phone.wrong for phone in phones)} answers were not {status.decode()}")
    cuts = quantiles(taken, n=100)
    return {
        "per_second": round(len(taken) / elapsed),
        "p50_ms": _ms(cuts[49]),
        "p99_ms": _ms(cuts[98]),
        "cpu_us": round(cpu / len(taken) * 1e6),
    }


def cpu_seconds(pid: int) -> float:
    """The processor time a process has used: user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _request(path: str, headers: str = "") -> bytes:
    return f"GET /apple/v1{path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()


async def run(database: str, database_url: str, folder: Path, *, seconds: float, connections: int) -> None:
    issued = await fill(database_url)
    held, fresh, asked = [], [], []
    for serial, last_modified in issued:
        path = f"/passes/{PASS_TYPE}/{serial}"
        proof = f"Authorization: ApplePass {authentication_token(SECRET.encode(), serial)}\r\n"
        fresh.append(_request(path, proof))
        held.append(_request(path, f"{proof}If-Modified-Since: {http_date(last_modified)}\r\n"))
        asked.append(_request(f"/devices/unknown{serial}/registrations/{PASS_TYPE}"))
    async with serving(database_url, folder) as (port, pid):
        results = {
            name: await measure(port, pid, requests, status, seconds=seconds, connections=connections)
            for name, requests, status in (
                ("not_modified", held, b"304"),
                ("nothing_new", asked, b"204"),
                ("signed", fresh, b"200"),
            )
        }
    print(json.dumps({"benchmark": "conditional_get", "database": database, **results}), flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("databases", nargs="*", default=["sqlite"])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    asked = {"seconds": options.seconds, "connections": options.connections}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "sqlite" in options.databases:
            await run("sqlite", f"sqlite:///{folder}/passbell.db", folder, **asked)
        if "postgresql" in options.databases:
            database = f"passbell_bench_{secrets.token_hex(4)}"
            server = await asyncpg.connect(POSTGRES_URL)
            await server.execute(f"CREATE DATABASE {database}")
            url = make_url(POSTGRES_URL).set(database=database).render_as_string(hide_password=False)
            try:
                await run("postgresql", url, folder, **asked)
            finally:
                await server.execute(f"DROP DATABASE {database} WITH (FORCE)")
                await server.close()


if __name__ == "__main__":
    serve() if "--serve" in sys.argv else asyncio.run(main())
