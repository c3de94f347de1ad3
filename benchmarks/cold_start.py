"""Process start to the first /readyz 200, on a database that is there already.

    python -m benchmarks.cold_start

Goal: 2 s at most. The CPU seconds are what it would take on an idle core.
"""

import asyncio
import time

from benchmarks._program import cpu_seconds, memory_mb, open_program, report

STARTS = 3
GOAL_SECONDS = 2.0
GOAL_MB = 150


async def main() -> None:
    async with open_program("sqlite", members=10) as program:
        server = program.server
        took: list[float] = []
        cpu: list[float] = []
        for _ in range(STARTS):
            started = time.perf_counter()
            await server.kill_and_restart(server.web)
            took.append(time.perf_counter() - started)
            cpu.append(cpu_seconds(server.web.pid))
        report(
            "cold start",
            round(min(took), 2),
            "s",
            goal=GOAL_SECONDS,
            ratio=round(min(took) / GOAL_SECONDS, 2),
            cpu_seconds=round(min(cpu), 2),
        )
        memory = round(memory_mb(server.web.pid))
        report("memory, idle", memory, "MB", goal=GOAL_MB, ratio=round(memory / GOAL_MB, 2))


if __name__ == "__main__":
    asyncio.run(main())
