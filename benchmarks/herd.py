"""Twenty thousand phones come for their new pass at once, while tills go on moving points.

    python -m benchmarks.herd [phones, default 20000] [--database sqlite]

One web process on a core of its own; the phones, the tills and PostgreSQL on the others. Each phone asks
which of its passes changed and fetches it, signed anew. First the bare RSA signature of the same key on the
same core, alone: `of_raw_rsa` is the passes a second beside it. A till waits for each answer and then a fifth
of a second; `till_p99_ms` is what the cashier saw.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.clock import utc_now
from app.db import open_engine, open_sessions
from app.passes import versions
from app.passes.issue import authentication_token
from benchmarks._program import DATABASES, Program, cpu_seconds, memory_mb, open_program, report
from tests.flows.crowd import Holder
from tests.flows.phones import PASS, REGISTRATIONS
from tests.flows.wire import Wire

CONNECTIONS = 48
TILLS, TILL_EVERY_SECONDS = 4, 0.2
RAW_SECONDS = 3.0
GOAL_OF_RSA, GOAL_TILL_MS = 0.6, 1000


def raw_rsa(private_key: Path) -> float:
    """Signatures a second of the bare key, in this process on the core it is given."""
    key = load_pem_private_key(private_key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    count, until = 0, time.perf_counter() + RAW_SECONDS
    while time.perf_counter() < until:
        key.sign(b"x" * 100, padding.PKCS1v15(), hashes.SHA256())
        count += 1
    return count / RAW_SECONDS


class Herd:
    """The phones: a few connections share them. What is not answered as it should be is an error."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._waiting = iter(program.crowd.holders)
        self.fetched = 0
        self.errors: list[str] = []
        self.took_ms: list[float] = []

    async def come(self) -> None:
        async with asyncio.TaskGroup() as phones:
            for _ in range(CONNECTIONS):
                phones.create_task(self._connection())

    async def _connection(self) -> None:
        async with Wire(self._program.server.url) as wire:
            for holder in self._waiting:
                started = time.perf_counter()
                await self._ask_and_fetch(wire, holder)
                self.took_ms.append((time.perf_counter() - started) * 1000)

    async def _ask_and_fetch(self, wire: Wire, holder: Holder) -> None:
        token = authentication_token(self._program.secret_key, holder.serial_number)
        asked = await wire.send("GET", REGISTRATIONS.format(device=holder.device))
        if asked.status != 200 or holder.serial_number.encode() not in asked.body:
            self.errors.append(f"asked: {asked.status}")
        fetched = await wire.send(
            "GET", PASS + holder.serial_number, headers={"Authorization": f"ApplePass {token}"}
        )
        if fetched.status == 200 and fetched.body.startswith(b"PK"):
            self.fetched += 1
        else:
            self.errors.append(f"fetched: {fetched.status}")


async def till(program: Program, number: int, over: asyncio.Event) -> list[float]:
    """Move points until the herd has gone; the milliseconds of each request."""
    took: list[float] = []
    holders = program.crowd.holders[number::TILLS]
    async with Wire(program.server.url, {"Authorization": f"Bearer {program.crowd.api_key}"}) as wire:
        while not over.is_set():
            path = f"/api/v1/accounts/{secrets.choice(holders).account_id}/transactions"
            started = time.perf_counter()
            answer = await wire.send(
                "POST",
                path,
                b'{"kind":"earn","points":1,"reason":"Order"}',
                {"Idempotency-Key": secrets.token_hex(12)},
            )
            took.append((time.perf_counter() - started) * 1000)
            if answer.status != 201:
                raise RuntimeError(f"a till was answered {answer.status}: {answer.body!r}")
            await asyncio.sleep(TILL_EVERY_SECONDS)
    return took


async def change_all(database_url: str, program: Program) -> None:
    """Every pass has a new version, as after a campaign."""
    engine = open_engine(database_url)
    sessions = open_sessions(engine)
    every = [holder.pass_id for holder in program.crowd.holders]
    for start in range(0, len(every), 1000):
        async with sessions.begin() as session:
            await versions.mark_changed(
                session, program.crowd.program.id, every[start : start + 1000], because={}, now=utc_now()
            )
    await engine.dispose()


async def measure(database: str, phones: int, cores: Sequence[int]) -> None:
    """One line."""
    ours, others = cores[0], set(cores[1:]) or set(cores)
    os.sched_setaffinity(0, {ours})  # what is started now stays there: the web process
    async with open_program(database, members=phones, worker=False) as program:
        raw = await asyncio.to_thread(raw_rsa, Path(program.world.settings["apple_private_key_path"]))
        os.sched_setaffinity(0, others)
        await change_all(program.database_url, program)
        over = asyncio.Event()
        tills = [asyncio.create_task(till(program, number, over)) for number in range(TILLS)]
        herd = Herd(program)
        started, cpu = time.perf_counter(), cpu_seconds(program.server.web.pid)
        await herd.come()
        seconds = time.perf_counter() - started
        cpu = cpu_seconds(program.server.web.pid) - cpu
        over.set()
        waited = sorted(ms for took in await asyncio.gather(*tills) for ms in took)
        memory = memory_mb(program.server.web.pid)
    os.sched_setaffinity(0, set(cores))
    rate = herd.fetched / seconds
    report(
        "herd",
        round(rate),
        "passes/s",
        database=database,
        phones=phones,
        errors=len(herd.errors),
        seconds=round(seconds, 1),
        raw_rsa_per_second=round(raw),
        of_raw_rsa=round(rate / raw, 3),
        goal_of_raw_rsa=GOAL_OF_RSA,
        web_cpu_us_each=round(cpu * 1_000_000 / herd.fetched),
        web_core_busy=round(cpu / seconds, 2),
        phone_p50_ms=round(statistics.median(herd.took_ms)),
        till_requests=len(waited),
        till_p50_ms=round(statistics.median(waited), 1),
        till_p99_ms=round(waited[len(waited) * 99 // 100], 1),
        goal_till_p99_ms=GOAL_TILL_MS,
        web_rss_mb=round(memory),
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phones", type=int, nargs="?", default=20_000)
    parser.add_argument("--database", choices=DATABASES, help="only this one")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    for database in [options.database] if options.database else DATABASES:
        await measure(database, options.phones, cores)


if __name__ == "__main__":
    asyncio.run(main())
