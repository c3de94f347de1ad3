"""A campaign, from the approval of its plan until the last phone's push is accepted and noted.

    python -m benchmarks.bulk_push [phones, default 100000] [--waiting 1000000] [--database postgresql]

The workers do all of it: the text on every pass, chunk by chunk, and the pushes, to the fast stand-in of
`benchmarks.apns` (20 to 50 ms); no phone fetches. Meanwhile a single change of a pass is made every half
second, of those outside the audience, and timed until its push is noted. On PostgreSQL two workers do it, on
SQLite the web process alone. At the end, how long picking 250 passes takes while so many wait (PostgreSQL).
"""

import argparse
import asyncio
import secrets
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app import migrations
from app.campaigns import approval, drafts, plan
from app.campaigns.models import Campaign, Plan
from app.clock import utc_now
from app.db import Sessions, open_engine, open_sessions
from app.members.models import Account
from app.passes import outbox_chunk, versions
from app.passes.models import Update
from app.settings import Settings
from app.simulators.world import World, simulated_world
from app.wallets.templates import load_templates
from app.wallets.templates.fingerprint import fingerprints
from benchmarks._program import DATABASES, database_for, memory_mb, report
from benchmarks.apns import stand_in
from tests.flows.crowd import Crowd, make_crowd
from tests.flows.server import running

SINGLES = 50
SINGLE_EVERY_SECONDS = 0.5
LATENCY_MS = (20, 50)
PRINTS = fingerprints(load_templates(Settings.model_fields["pass_templates_dir"].default))
WITHIN_SECONDS = 300.0
PICKS = 40


async def change(sessions: Sessions, crowd: Crowd, pass_id: str) -> None:
    """Change one pass, as a till does."""
    async with sessions.begin() as session:
        await versions.mark_changed(session, crowd.program.id, [pass_id], because={}, now=utc_now())


async def behind(sessions: Sessions, pass_ids: list[str] | None = None) -> int:
    """How many passes are owed something."""
    query = select(func.count()).where(Update.wanted_version > Update.sent_version)
    if pass_ids is not None:
        query = query.where(Update.pass_id.in_(pass_ids))
    async with sessions() as session:
        return await session.scalar(query) or 0


async def singles(sessions: Sessions, crowd: Crowd, pass_ids: list[str], until: asyncio.Event) -> list[float]:
    """Seconds from the commit of single changes until each was noted as told."""
    took: list[float] = []
    for pass_id in pass_ids:
        if until.is_set():
            break
        await change(sessions, crowd, pass_id)
        started = time.perf_counter()
        while await behind(sessions, [pass_id]):  # noqa: ASYNC110 (the condition is in the database)
            await asyncio.sleep(0.01)
        took.append(time.perf_counter() - started)
        await asyncio.sleep(SINGLE_EVERY_SECONDS)
    return took


async def planned(sessions: Sessions, crowd: Crowd) -> Plan:
    """A campaign to all but the first few, planned."""
    few = [holder.account_id for holder in crowd.holders[:SINGLES]]
    definition = {
        "condition": {"field": "points", "op": "at_most", "value": 0},
        "texts": {"en": "Double points on Sunday"},
    }
    async with sessions.begin() as session:
        await session.execute(update(Account).where(Account.id.in_(few)).values(balance=1))
        drafted = await drafts.create(
            session, crowd.program.id, name="bench", definition=definition, by="bench", now=utc_now()
        )
        return await plan.make(session, drafted, PRINTS, by="bench", now=utc_now())


async def approve(sessions: Sessions, made: Plan) -> None:
    """Let it run."""
    async with sessions.begin() as session:
        found = await session.get_one(Campaign, made.campaign_id)
        await approval.approve(
            session, found, PRINTS, plan_hash=made.hash, by="bench", second_person_above=2**62, now=utc_now()
        )


async def campaign(sessions: Sessions, crowd: Crowd) -> tuple[float, list[float]]:
    """Seconds until all are told, and those of the single changes meanwhile."""
    alone = [holder.pass_id for holder in crowd.holders[:SINGLES]]
    made = await planned(sessions, crowd)
    done = asyncio.Event()
    started = time.perf_counter()
    timing = asyncio.create_task(singles(sessions, crowd, alone, done))
    await approve(sessions, made)
    async with asyncio.timeout(WITHIN_SECONDS):
        while not await is_over(sessions, made) or await behind(sessions):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    seconds = time.perf_counter() - started
    done.set()
    return seconds, await timing


async def is_over(sessions: Sessions, made: Plan) -> bool:
    """Whether every recipient's pass has its text."""
    async with sessions() as session:
        found = await session.get_one(Campaign, made.campaign_id)
        if found.state == "stopped":
            raise RuntimeError(found.reason)
        return found.state == "done"


async def measure(database: str, phones: int, waiting: int) -> None:
    """One line, and on PostgreSQL another for picking."""
    folder = Path(tempfile.mkdtemp(prefix="passbell-bench-"))
    try:
        async with (
            database_for(database, folder) as url,
            simulated_world(folder / "world") as world,
        ):
            engine = open_engine(url)
            await migrations.upgrade(engine)
            sessions = open_sessions(engine)
            async with sessions.begin() as session:
                crowd = await make_crowd(session, phones + SINGLES, now=utc_now())
            if database == "postgresql":  # as autovacuum has done where members came one by one
                async with engine.connect() as connection:
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                    await connection.execute(text("ANALYZE"))
            await _run(database, url, folder, world, sessions, crowd)
            if database == "postgresql" and waiting:
                await picking(engine, sessions, crowd, waiting)
            await engine.dispose()
    finally:
        shutil.rmtree(folder)


async def _run(database: str, url: str, folder: Path, world: World, sessions: Sessions, crowd: Crowd) -> None:
    pem = folder / "server.pem"
    server_files = (world.ca.server.private_key_path, world.ca.server.certificate_path)
    pem.write_bytes(b"".join(path.read_bytes() for path in server_files))
    with stand_in(pem, LATENCY_MS) as port:
        settings = world.settings | {
            "database_url": url,
            "secret_key": secrets.token_hex(32),
            "apns_port": port,
            "worker": database == "sqlite",
        }
        async with running(settings, folder, workers=0 if database == "sqlite" else 2) as server:
            seconds, took = await campaign(sessions, crowd)
            children = server.workers or [server.web]
            memory = max(memory_mb(child.pid) for child in children)
    phones = len(crowd.holders) - SINGLES
    report(
        "bulk_push",
        round(phones / seconds),
        "phones/s",
        database=database,
        phones=phones,
        seconds=round(seconds, 1),
        single_p50_ms=round(statistics.median(took) * 1000),
        single_max_ms=round(max(took) * 1000),
        singles=len(took),
        worker_rss_mb=round(memory),
    )


async def picking(engine: AsyncEngine, sessions: Sessions, crowd: Crowd, waiting: int) -> None:
    """How long `take` holds a transaction while so many updates wait."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))  # no foreign keys
        await connection.execute(
            text(
                "INSERT INTO updates (pass_id, wallet, program_id, wanted_version, sent_version, queued,"
                " attempts, wanted_at, touched_at)"
                " SELECT 'pas_' || g, 'apple', :program_id, 2, 1, true, 0, now(), now()"
                " FROM generate_series(1, :waiting) g"
            ),
            {"program_id": crowd.program.id, "waiting": waiting},
        )
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("ANALYZE updates"))
    took = []
    for pick in range(PICKS):
        ids = [f"pas_{1 + pick * versions.CHUNK + number}" for number in range(versions.CHUNK)]
        started = time.perf_counter()
        async with sessions.begin() as session:
            await outbox_chunk.read(session, ids, now=utc_now())
        took.append((time.perf_counter() - started) * 1000)
    report(
        "bulk_push",
        round(statistics.median(took), 1),
        "ms to pick 250",
        database="postgresql",
        variant=f"{waiting} updates waiting",
        min_ms=round(min(took), 1),
        max_ms=round(max(took[1:]), 1),
        goal_ms=20,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phones", type=int, nargs="?", default=100_000)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--database", choices=DATABASES, help="only this one")
    options = parser.parse_args()
    for database in [options.database] if options.database else DATABASES:
        await measure(database, options.phones, options.waiting)


if __name__ == "__main__":
    asyncio.run(main())
