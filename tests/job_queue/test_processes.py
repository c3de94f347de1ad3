"""Workers in processes of their own: found by them, and nothing lost when one is killed."""

import asyncio
import sys
from pathlib import Path

from app.job_queue import enqueue_many, stats
from tests.job_queue.conftest import until

ROOT = Path(__file__).parents[2]
JOBS = 40
AT_ONCE = 4

WORKER = """
import asyncio, os, sys
from app.db import open_engine
from app.job_queue import Registered, run_worker

async def main():
    async def ring(args):
        os.write(1, b"%d\\n" % args["n"])
        await asyncio.sleep(0.02)

    handlers = {"ring": Registered(ring, concurrency_limit=int(sys.argv[2]))}
    await run_worker(open_engine(sys.argv[1]), handlers, stop=asyncio.Event(), heartbeat_seconds=1)

asyncio.run(main())
"""


async def start_worker(database_url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, database_url, str(AT_ONCE), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


async def kill(process: asyncio.subprocess.Process) -> list[int]:
    """Kill it with signal 9; return what it had still said."""
    assert process.stdout is not None
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    return [int(line) for line in rest.split()]


async def test_a_killed_worker_loses_no_job(database_url, sessions):
    async with sessions.begin() as session:
        await enqueue_many(session, "ring", [{"n": n} for n in range(JOBS)])
    first = await start_worker(database_url)
    assert first.stdout is not None
    begun = [int(await first.stdout.readline()) for _ in range(JOBS // 4)]
    begun += await kill(first)
    assert len(begun) < JOBS

    second = await start_worker(database_url)

    async def is_empty():
        async with sessions() as session:
            return await stats(session) == []

    await until(is_empty, seconds=30)
    finished = await kill(second)
    assert set(begun) | set(finished) == set(range(JOBS))
    assert len(begun) + len(finished) <= JOBS + AT_ONCE  # what the first had in hand runs again, no more
