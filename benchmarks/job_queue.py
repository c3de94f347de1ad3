"""The work engine: how long an enqueue takes, how soon a worker begins, and jobs a second.

    python benchmarks/job_queue.py [jobs]

Prints one JSON line per database; the worker runs in the same process, as in the demo.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from statistics import quantiles

from sqlalchemy import make_url, text

from app import migrations
from app.db import open_engine, open_sessions
from app.job_queue import Registered, enqueue, enqueue_many, run_worker

POSTGRES_URL = os.environ.get("PASSBELL_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
DATABASE = "passbell_benchmark"
PACED = 200


async def measure(name: str, database_url: str, jobs: int) -> None:
    engine = open_engine(database_url)
    await migrations.upgrade(engine)
    sessions = open_sessions(engine)
    begun: list[float] = []

    async def ring(args: object) -> None:
        begun.append(time.perf_counter())

    async def wait_for(count: int) -> None:
        while len(begun) < count:  # noqa: ASYNC110  the handler must do nothing but note the time
            await asyncio.sleep(0.001)

    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(engine, {"ring": Registered(ring)}, stop=stop))
    enqueued: list[float] = []
    committed: list[float] = []
    for number in range(PACED):
        async with sessions() as session:
            await session.execute(text("SELECT 1"))
            started = time.perf_counter()
            await enqueue(session, "ring", {"n": number})
            enqueued.append(time.perf_counter() - started)
            await session.commit()
            committed.append(time.perf_counter())
        await wait_for(number + 1)
    delays = quantiles([at - since for at, since in zip(begun, committed, strict=True)], n=100)

    async with sessions.begin() as session:
        await enqueue_many(session, "ring", [{"n": number} for number in range(jobs)])
    started = time.perf_counter()
    await wait_for(PACED + jobs)
    result = {
        "benchmark": "job queue",
        "database": name,
        "enqueue_p50_ms": round(quantiles(enqueued, n=100)[49] * 1000, 2),
        "commit_to_handler_p50_ms": round(delays[49] * 1000, 2),
        "commit_to_handler_p99_ms": round(delays[98] * 1000, 2),
        "jobs_per_second": round(jobs / (time.perf_counter() - started)),
    }
    stop.set()
    await worker
    await engine.dispose()
    print(json.dumps(result), flush=True)


async def on_server(statement: str) -> None:
    engine = open_engine(POSTGRES_URL)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        await measure("sqlite", f"sqlite:///{folder}/bench.db", jobs)
    await on_server(f"DROP DATABASE IF EXISTS {DATABASE}")
    await on_server(f"CREATE DATABASE {DATABASE}")
    postgres = make_url(POSTGRES_URL).set(database=DATABASE)
    await measure("postgresql", postgres.render_as_string(hide_password=False), jobs)
    await on_server(f"DROP DATABASE {DATABASE} WITH (FORCE)")


if __name__ == "__main__":
    asyncio.run(main())
