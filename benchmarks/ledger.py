"""Movements of points per second, straight into the ledger: half earn, half redeem, each its own transaction.

    python -m benchmarks.ledger [sqlite] [postgresql] [--seconds 2]

One JSON line per database, way and number of tasks at once. The ways: `told` is what a door does (movement,
pass marked changed, job enqueued); `movement` leaves the passes out; `steps` is that without folding the
statements into one; `orm` is the same done with locked rows and mapped objects. The books are reconciled
after each way but `orm`, which keeps no lots.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from statistics import quantiles

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import locked, new_id, open_engine, open_sessions
from app.members.models import Account
from app.points import movements
from app.points.models import Entry, Lot
from app.points.movements import Movement
from app.points.posting import post, post_and_tell
from app.points.reconcile import reconcile
from benchmarks.transactions import database, seed

ACCOUNTS = 500
TASKS = (1, 8)

FOLDS = movements.folds

Way = Callable[[AsyncSession, Movement], Awaitable[object]]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    for kind in options.databases:
        async with database(kind) as url:
            account_ids, _ = await seed(url, ACCOUNTS)
            engine = open_engine(url)
            for name, way in (("told", post_and_tell), ("movement", post), ("steps", post), ("orm", by_orm)):
                if name == "steps":
                    movements.folds = lambda _: False
                for tasks in TASKS:
                    result = await measure(engine, way, account_ids, tasks, options.seconds)
                    line = {"benchmark": "ledger", "database": kind, "way": name, "tasks": tasks}
                    print(json.dumps(line | result), flush=True)
                if name != "orm":
                    report = await reconcile(engine, now=datetime.now(UTC))
                    assert report.mismatches == [], report.mismatches[0]
            movements.folds = FOLDS
            await engine.dispose()


async def measure(
    engine: AsyncEngine, way: Way, account_ids: list[str], tasks: int, seconds: float
) -> dict[str, float]:
    sessions = open_sessions(engine)
    run = new_id("run")
    end = time.perf_counter() + seconds
    latencies: list[float] = []

    async def till(number: int) -> None:
        for count in range(1_000_000):
            if (started := time.perf_counter()) >= end:
                return
            account_id = account_ids[(number * 61 + count // 2) % len(account_ids)]
            earns = count % 2 == 0
            movement = Movement(
                account_id,
                "earn" if earns else "redeem",
                10 if earns else -10,
                reason="bench",
                source="bench",
                source_event=f"{run}:{number}:{count}",
                now=datetime.now(UTC),
                tier_points=10 if earns else 0,
            )
            async with sessions.begin() as session:
                await way(session, movement)
            latencies.append(time.perf_counter() - started)

    cpu = time.process_time()
    await asyncio.gather(*map(till, range(tasks)))
    cpu = time.process_time() - cpu
    percentiles = quantiles(latencies, n=100)
    return {
        "per_second": round(len(latencies) / seconds),
        "cpu_ms_each": round(cpu * 1000 / len(latencies), 3),
        "p50_ms": round(percentiles[49] * 1000, 2),
        "p99_ms": round(percentiles[98] * 1000, 2),
    }


async def by_orm(session: AsyncSession, movement: Movement) -> None:
    """What a first version would look like: lock the account, look for a repeat, add mapped objects."""
    account = await locked(session, select(Account).where(Account.id == movement.account_id))
    repeat = select(Entry).where(
        Entry.program_id == account.program_id,
        Entry.source == movement.source,
        Entry.source_event == movement.source_event,
    )
    assert await session.scalar(repeat) is None
    account.balance += movement.points
    account.sequence += 1
    entry = Entry(
        id=new_id("ent"),
        program_id=account.program_id,
        account_id=account.id,
        sequence=account.sequence,
        kind=movement.kind,
        points=movement.points,
        balance_after=account.balance,
        tier_points=movement.tier_points,
        reason=movement.reason,
        source=movement.source,
        source_event=movement.source_event,
        at=movement.now,
    )
    session.add(entry)
    if movement.points < 0:
        lots = select(Lot).where(Lot.account_id == account.id, Lot.remaining > 0)
        (await session.scalars(lots.order_by(Lot.expires_at, Lot.sequence))).all()
    await session.flush()


if __name__ == "__main__":
    asyncio.run(main())
