"""Transactions over HTTP per second: POST /api/v1/accounts/{id}/transactions, one server process.

    python -m benchmarks.transactions [sqlite] [postgresql] [--seconds 10] [--connections 32]

Every request carries its own Idempotency-Key, moves points on an account with a pass, and is committed
to disk before it is answered. Prints one JSON line per database. PostgreSQL is the server at
PASSBELL_TEST_POSTGRES_URL, by default postgresql://postgres@127.0.0.1:5432/postgres.
"""

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from app import migrations
from app.db import new_id, open_engine, open_sessions
from app.members import api_keys, people
from app.members.models import Program, Tier
from app.passes.issue import issue

ROOT = Path(__file__).parent.parent
POSTGRES = make_url(
    os.environ.get("PASSBELL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
)
WARM_UP_SECONDS = 2.0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--accounts", type=int, default=1000)
    options = parser.parse_args()
    for kind in options.databases:
        async with database(kind) as url:
            account_ids, key = await seed(url, options.accounts)
            async with served(url) as (port, process_id):
                await load(port, account_ids, key, options.connections, WARM_UP_SECONDS)
                began = cpu_seconds(process_id)
                result = await load(port, account_ids, key, options.connections, options.seconds)
                # Of the server alone: comparable on a machine that is busy with other things too.
                cpu_ms = (cpu_seconds(process_id) - began) * 1000 / result["transactions"]
                result["server_cpu_ms_each"] = round(cpu_ms, 3)
        print(json.dumps({"benchmark": "transactions", "database": kind, **result}), flush=True)


@asynccontextmanager
async def database(kind: str) -> AsyncIterator[str]:
    """The address of an empty database of this kind, dropped afterwards."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
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


async def seed(url: str, count: int) -> tuple[list[str], str]:
    """Accounts with a member and a pass each, and an API key."""
    engine = open_engine(url)
    await migrations.upgrade(engine)
    now = datetime.now(UTC)
    async with open_sessions(engine).begin() as session:
        program = Program(
            id=new_id("prg"),
            slug="bench",
            name="Bench",
            country="RU",
            language="en",
            currency="RUB",
            time_zone="Europe/Moscow",
            template="coffee",
            created_at=now,
        )
        session.add(program)
        await session.flush()
        session.add(
            Tier(
                id=new_id("tier"),
                program_id=program.id,
                code="basic",
                names={"en": "Basic"},
                threshold=0,
                rate_basis_points=500,
            )
        )
        await session.flush()
        account_ids: list[str] = []
        for number in range(count):
            phone = f"+7916{number:07}"
            account, _ = await people.find_or_create_account(session, program, phone, now)
            member = await people.add_member(
                session,
                program,
                account,
                name="Anna",
                phone=phone,
                email=None,
                birthday=None,
                language="en",
                answers={},
                now=now,
            )
            await issue(session, member, template="coffee", now=now)
            account_ids.append(account.id)
        key = (await api_keys.create_key(session, program.id, name="bench", scopes=["*"], now=now))[1]
    await engine.dispose()
    return account_ids, key


@asynccontextmanager
async def served(url: str) -> AsyncIterator[tuple[int, int]]:
    """One uvicorn process on a free port, without a worker inside: its port and process id."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "PASSBELL_DATABASE_URL": url,
            "PASSBELL_DATA_DIR": folder,
            "PASSBELL_WORKER": "false",
            "PASSBELL_LOG_LEVEL": "warning",  # a line per request is the log's cost, not the door's
            "PASSBELL_PASS_TEMPLATES_DIR": str(ROOT / "pass_templates"),
        }
        arguments = [sys.executable, "-m", "benchmarks._serving"]
        server = subprocess.Popen(  # noqa: ASYNC220  it is only started here
            arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            yield int(await asyncio.to_thread(server.stdout.readline)), server.pid
        finally:
            server.terminate()
            server.wait(10)


def cpu_seconds(process_id: int) -> float:
    """The processor time a process has used so far, in the program and in the system (Linux)."""
    fields = Path(f"/proc/{process_id}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(
    port: int, account_ids: list[str], key: str, connections: int, seconds: float
) -> dict[str, float]:
    """Post from so many keep-alive connections for so long; rate and latencies of what was answered."""
    until = time.perf_counter() + seconds
    began = time.perf_counter()
    latencies = [
        latency
        for found in await asyncio.gather(
            *(client(port, account_ids, key, until) for _ in range(connections))
        )
        for latency in found
    ]
    took = time.perf_counter() - began
    latencies.sort()
    return {
        "per_second": round(len(latencies) / took),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 2),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1000, 2),
        "transactions": len(latencies),
        "connections": connections,
    }


async def client(port: int, account_ids: list[str], key: str, until: float) -> list[float]:
    """One connection, one request at a time. A raw socket: the client must not be what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"kind":"earn","points":1,"reason":"benchmark"}'
    latencies: list[float] = []
    while (began := time.perf_counter()) < until:
        writer.write(
            f"POST /api/v1/accounts/{secrets.choice(account_ids)}/transactions HTTP/1.1\r\n"
            f"Host: bench\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: {secrets.token_hex(12)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(f"{head!r} {answer!r}")
        latencies.append(time.perf_counter() - began)
    writer.close()
    return latencies


if __name__ == "__main__":
    asyncio.run(main())
