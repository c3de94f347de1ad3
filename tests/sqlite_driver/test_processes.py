"""What another process does to the file, and what is left when one is killed."""

import asyncio
import sqlite3
import sys
from pathlib import Path

from sqlalchemy import text

ROOT = Path(__file__).parents[2]

INSERT_AND_TELL = """
import asyncio, os, sys
from sqlalchemy import text
from app.db import open_engine

async def main():
    engine = open_engine(f"sqlite:///{sys.argv[1]}")
    async def insert(first):
        for id_ in range(first, 10**9, 16):
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO counter VALUES (:id, 0)"), {"id": id_})
            os.write(1, b"%d\\n" % id_)
    await asyncio.gather(*(insert(first) for first in range(2, 18)))

asyncio.run(main())
"""
INCREMENT = """
import asyncio, sys
from tests.sqlite_driver.test_processes import increment
from app.db import open_engine

async def main():
    engine = open_engine(f"sqlite:///{sys.argv[1]}")
    print("ready", flush=True)
    await increment(engine, 150)
    await engine.dispose()

asyncio.run(main())
"""


async def start(script: str, path: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


async def increment(engine, times: int) -> None:
    for _ in range(times):
        async with engine.begin() as connection:
            value = (await connection.execute(text("SELECT value FROM counter WHERE id = 1"))).scalar_one()
            await connection.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})


async def test_a_killed_process_loses_nothing_it_acknowledged(path):
    process = await start(INSERT_AND_TELL, path)
    assert process.stdout is not None
    acknowledged = [int(await process.stdout.readline()) for _ in range(300)]
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    acknowledged += [int(line) for line in rest.split(b"\n")[:-1]]

    connection = sqlite3.connect(path)
    stored = {id_ for (id_,) in connection.execute("SELECT id FROM counter")}
    (check,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    assert set(acknowledged) <= stored
    assert check == "ok"


async def test_two_processes_write_at_once_and_lose_nothing(engine, path):
    process = await start(INCREMENT, path)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"

    await asyncio.gather(increment(engine, 75), increment(engine, 75), process.wait())

    assert process.returncode == 0
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT value FROM counter"))).scalar_one() == 300
