"""A campaign on many Google passes at Google's quota, and purchases meanwhile, on a clock that jumps.

python -m benchmarks.google [--passes 2000] [--database sqlite] [--seats 16]

The seconds are the simulated clock's: turns and waits count, our own work and Google's do not. Every
call goes over a real socket to the simulator, which allows 20 requests a second; every row is in a database.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import statistics
import tempfile
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.errors import TemporaryFailure
from app.jobs.class_messages import send_class_message
from app.jobs.update_google import RETRY, SEATS, update_google
from app.members.models import Program
from app.passes import class_messages, google_objects
from app.passes.class_messages import Wording
from app.passes.content import google_program
from app.passes.models import GoogleClass, GoogleObject, Update
from app.passes.versions import GOOGLE
from app.points import ledger
from app.settings import Settings
from app.simulators.virtual_time import VirtualTime
from app.simulators.world import World, simulated_world
from app.wiring import Services, open_services
from benchmarks._program import database_for
from tests.flows.crowd import Crowd, make_crowd

START = datetime(2030, 6, 3, 12, 0, tzinfo=UTC)
PURCHASE_EVERY_SECONDS = 5.0


async def prepare(services: Services, world: World, passes: int) -> Crowd:
    """Passes that Google has at version 1 and is owed at version 2."""
    wallet = services.google
    assert wallet is not None
    async with services.sessions.begin() as session:
        crowd = await make_crowd(session, passes, now=START, with_phones=False)
        program = await session.get_one(Program, crowd.program.id)
        shared = google_program(program)
        template = program.template
        body = wallet.class_body(template, shared)
        class_id, resource = body["id"], f"{wallet.kind(template)}Object"
        row = {"class_id": class_id, "program_id": program.id, "resource": "loyaltyClass"}
        session.add(GoogleClass(**row, body_hash=google_objects.body_hash(body), written_at=START))
        world.google.api.insert("loyaltyClass", body, START)
        account = world.google.account("everybody")
        for holder in crowd.holders:
            object_id = wallet.object_id(holder.serial_number)
            found = {"id": object_id, "classId": class_id, "state": "ACTIVE"}
            world.google.api.insert(resource, found, START)
            world.google.api.set_users(resource, object_id, has_users=True)
            account.held.append(object_id)
            session.add(
                GoogleObject(
                    pass_id=holder.pass_id,
                    program_id=program.id,
                    object_id=object_id,
                    class_id=class_id,
                    resource=resource,
                    sent=google_objects.hashes_of(found),
                    inserted_at=START,
                    has_users=True,
                    refusal="",
                )
            )
            session.add(
                Update(
                    pass_id=holder.pass_id,
                    wallet=GOOGLE,
                    program_id=program.id,
                    wanted_version=1,
                    sent_version=0,
                    queued=True,
                    wanted_at=START,
                    touched_at=START,
                )
            )
    return crowd


async def bring(services: Services, pass_id: str, *, is_bulk: bool) -> int:
    """The job as the worker runs it, again where it must; how often it failed."""
    failed = 0
    while True:
        try:
            await update_google(services, {"pass_id": pass_id}, is_bulk=is_bulk)
            return failed
        except TemporaryFailure as failure:
            failed += 1
            await services.sleep(RETRY.wait_seconds(failed, failure))


async def measure(
    services: Services, virtual: VirtualTime, crowd: Crowd, seats: int
) -> tuple[list[float], float]:
    """The campaign's seats and one till: how long each purchase took, and the campaign."""
    left = deque(holder.pass_id for holder in crowd.holders)
    urgent: list[float] = []
    working, ended = seats, START

    async def seat() -> None:
        nonlocal working, ended
        while left:
            await bring(services, left.popleft(), is_bulk=True)
        working -= 1
        ended = virtual.now

    async def till() -> None:
        for number, holder in enumerate(reversed(crowd.holders)):
            await services.sleep(PURCHASE_EVERY_SECONDS)
            if not working:
                return
            bought = services.clock()
            async with services.sessions.begin() as session:
                movement = {
                    "reason": "",
                    "source": "till",
                    "source_event": f"{number}:{secrets.token_hex(4)}",
                }
                await ledger.earn(session, holder.account_id, 5, now=bought, **movement)
            await bring(services, holder.pass_id, is_bulk=False)
            urgent.append((services.clock() - bought).total_seconds())

    await virtual.run(*[seat] * seats, till)
    return urgent, (ended - START).total_seconds()


async def announce(services: Services, crowd: Crowd) -> None:
    """A message to all holders of a class: one call."""
    async with services.sessions.begin() as session:
        program = await session.get_one(Program, crowd.program.id)
        texts = {program.language: "Double points"}
        [message] = await class_messages.create(
            session, program, Wording(texts), template=None, by="bench", now=services.clock()
        )
    await send_class_message(services, {"message_id": message.id})


async def run(passes: int, database: str, seats: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="passbell-bench-"))
    virtual = VirtualTime(START)
    try:
        async with database_for(database, folder) as url, simulated_world(folder / "world") as world:
            world.google.clock = virtual.clock
            settings = {**world.settings, "database_url": url, "data_dir": folder, "worker": False}
            async with open_services(
                Settings.model_validate(settings), clock=virtual.clock, sleep=virtual.sleep
            ) as services:
                crowd = await prepare(services, world, passes)
                begun, calls = time.perf_counter(), len(world.google.calls)
                urgent, seconds = await measure(services, virtual, crowd, seats)
                sent, refused = len(world.google.calls) - calls, world.google.quota.refused
                account = world.google.account("everybody")
                rang, before = len(account.notifications), len(world.google.calls)
                await virtual.run(lambda: announce(services, crowd))
                return {
                    "benchmark": "google",
                    "database": database,
                    "passes": passes,
                    "simulated_seconds": round(seconds, 1),
                    "calls_per_second": round(sent / seconds, 2),
                    "refused_429": refused,
                    "purchases": len(urgent),
                    "purchase_seconds_p50": round(statistics.median(urgent), 2),
                    "purchase_seconds_max": round(max(urgent), 2),
                    "class_message_calls": len(world.google.calls) - before,
                    "class_message_reached": len(account.notifications) - rang,
                    "real_seconds": round(time.perf_counter() - begun, 1),
                }
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=2_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seats", type=int, default=SEATS)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(run(given.passes, given.database, given.seats))), flush=True)


if __name__ == "__main__":
    main()
