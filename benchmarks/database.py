"""Durable transactions a second: three writes and one read, through SQLAlchemy, one process.

    python benchmarks/database.py [seconds per measurement]

Prints one JSON line per engine and number of tasks: this program's SQLite, aiosqlite as SQLAlchemy has it
(with BEGIN IMMEDIATE, without which it loses updates), and asyncpg where PostgreSQL answers.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.db import open_engine, open_read_engine

ACCOUNTS = 1000
TASKS = (1, 8, 64)
POSTGRES_URL = os.environ.get("PASSBELL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")

TABLES = (
    "DROP TABLE IF EXISTS bench_account",
    "DROP TABLE IF EXISTS bench_entry",
    "DROP TABLE IF EXISTS bench_outbox",
    "CREATE TABLE bench_account (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)",
    "CREATE TABLE bench_entry (account_id INTEGER, event TEXT UNIQUE, points BIGINT, balance_after BIGINT)",
    "CREATE TABLE bench_outbox (account_id INTEGER PRIMARY KEY, wanted BIGINT NOT NULL)",
)
READ = text("SELECT balance FROM bench_account WHERE id = :id")
MOVE = text("UPDATE bench_account SET balance = balance + 1 WHERE id = :id RETURNING balance")
ENTRY = text("INSERT INTO bench_entry VALUES (:id, :event, 1, :balance)")
OUTBOX = text(
    "INSERT INTO bench_outbox VALUES (:id, 1) "
    "ON CONFLICT (account_id) DO UPDATE SET wanted = bench_outbox.wanted + 1"
)


def aiosqlite_engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


async def measure(name: str, engine: AsyncEngine, seconds: float, tasks: int) -> None:
    async with engine.begin() as connection:
        for statement in TABLES:
            await connection.execute(text(statement))
        accounts = [{"id": id_} for id_ in range(ACCOUNTS)]
        await connection.execute(text("INSERT INTO bench_account VALUES (:id, 0)"), accounts)
    end = time.perf_counter() + seconds
    cpu = time.process_time()
    latencies: list[float] = []

    async def client(number: int) -> None:
        count = 0
        while (started := time.perf_counter()) < end:
            count += 1
            account = {"id": (number * 7919 + count) % ACCOUNTS}
            async with engine.begin() as connection:
                await connection.execute(READ, account)
                balance = (await connection.execute(MOVE, account)).scalar_one()
                entry = account | {"event": f"{number}:{count}", "balance": balance}
                await connection.execute(ENTRY, entry)
                await connection.execute(OUTBOX, account)
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*(client(number) for number in range(tasks)))
    cpu = time.process_time() - cpu
    async with engine.begin() as connection:
        booked = (await connection.execute(text("SELECT sum(balance) FROM bench_account"))).scalar_one()
        for statement in TABLES[:3]:
            await connection.execute(text(statement))
    assert booked == len(latencies), (booked, len(latencies))
    percentiles = quantiles(latencies, n=100)
    result = {
        "benchmark": "database transaction",
        "engine": name,
        "tasks": tasks,
        "per_second": round(len(latencies) / seconds),
        "cpu_ms_each": round(cpu * 1000 / len(latencies), 3),
        "p50_ms": round(percentiles[49] * 1000, 2),
        "p99_ms": round(percentiles[98] * 1000, 2),
    }
    print(json.dumps(result), flush=True)


async def measure_reads(name: str, engine: AsyncEngine, seconds: float) -> None:
    """One row by its key, one task: what a 304 to a phone costs the database."""
    count = 0
    cpu = time.process_time()
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT name FROM sqlite_master LIMIT 1"))
        count += 1
    result: dict[str, object] = {
        "benchmark": "database read",
        "engine": name,
        "per_second": round(count / seconds),
    }
    result["cpu_ms_each"] = round((time.process_time() - cpu) * 1000 / count, 3)
    print(json.dumps(result), flush=True)


async def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        engines = {
            "passbell sqlite": open_engine(url),
            "sqlalchemy aiosqlite": aiosqlite_engine(Path(folder) / "aiosqlite.db"),
            "sqlalchemy asyncpg": open_engine(POSTGRES_URL),
        }
        for name, engine in engines.items():
            for tasks in TASKS:
                try:
                    await measure(name, engine, seconds, tasks)
                except (OSError, SQLAlchemyError) as error:
                    print(json.dumps({"engine": name, "tasks": tasks, "error": str(error)[:200]}))
            await engine.dispose()
        readers = {
            "passbell sqlite": open_read_engine(url),
            "passbell sqlite in threads": open_read_engine(url, for_reports=True),
            "sqlalchemy aiosqlite": create_async_engine(f"sqlite+aiosqlite:///{folder}/bench.db"),
        }
        for name, engine in readers.items():
            await measure_reads(name, engine, seconds)
            await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
