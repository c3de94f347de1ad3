"""Google fails as it may: what was done is answered 503 or not at all, and a third of the calls are too many.

Every object ends on the newest state, in the time of a clock that jumps.
"""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import select

from app.errors import TemporaryFailure
from app.jobs.update_google import RETRY, update_google
from app.members.models import Account, Member
from app.passes import trace
from app.passes.issue import issue
from app.passes.models import GoogleObject, Pass, Ring, Update
from app.passes.versions import APPLE, GOOGLE, mark_changed
from app.points import ledger
from app.settings import Settings
from app.simulators.google_wallet import Faults
from app.simulators.virtual_time import VirtualTime
from app.wiring import open_services
from tests.make import NOON, make_account, make_member, make_program

PASSES, CHANGES, SEATS = 12, 3, 4
FAULTS = Faults(busy=0.3, lost=0.15, reset=0.1, seed=7)


@pytest.fixture
async def time():
    return VirtualTime(NOON)


@pytest.fixture
async def services(request, world, time, database_url, tmp_path):
    values = {"database_url": database_url, "data_dir": tmp_path, "worker": False, **world.settings}
    values["google_batches"] = request.param == "in batches"
    world.google.clock = time.clock
    async with open_services(Settings.model_validate(values), clock=time.clock, sleep=time.sleep) as services:
        yield services


async def issue_some(services):
    async with services.sessions.begin() as session:
        program = await make_program(session, country="KZ", currency="KZT")
        issued = []
        for _ in range(PASSES):
            member = await make_member(session, await make_account(session, program))
            issued.append(await issue(session, member, template="coffee", wallets=(APPLE, GOOGLE), now=NOON))
    return issued


async def earn(services, issued, number):
    """Points, and the news that they are there: a field and a message."""
    async with services.sessions.begin() as session:
        member = await session.get_one(Member, issued.member_id)
        movement = {"reason": "", "source": "test", "source_event": f"{issued.id}:{number}"}
        await ledger.earn(session, member.account_id, 10, now=services.clock(), **movement)
        await mark_changed(
            session,
            issued.program_id,
            [issued.id],
            because={"message": "news"},
            message=f"News {number}",
            now=services.clock(),
        )


async def bring(services, issued):
    """Run the job as the worker would, until it has nothing left to do."""
    failed = 0
    while True:
        try:
            await update_google(services, {"pass_id": issued.id})
            return
        except TemporaryFailure as failure:
            failed += 1
            await services.sleep(RETRY.wait_seconds(failed, failure))


async def hold_all(services, google, phone, cards):
    """Insert them, and have one account save them all."""
    for issued in cards:
        await bring(services, issued)
        async with services.sessions.begin() as session:
            known = await session.get(GoogleObject, issued.id)
            known.has_users = True
        phone.held.append(known.object_id)
        google.api.set_users(known.resource, known.object_id, has_users=True)


@pytest.mark.parametrize(
    ("database", "services"),
    [("sqlite", "one by one"), ("sqlite", "in batches"), ("postgresql", "one by one")],
    indirect=["services"],
)
async def test_whatever_fails_every_object_ends_on_the_newest_state(services, world, time):
    cards = await issue_some(services)
    phone = world.google.account("everybody")
    await time.run(lambda: hold_all(services, world.google, phone, cards))
    world.google.faults = FAULTS
    left = [(each, number) for number in range(CHANGES) for each in cards]

    async def work():
        while left:
            issued, number = left.pop(0)
            await earn(services, issued, number)
            await bring(services, issued)

    await asyncio.wait_for(time.run(*[work] * SEATS), 300)

    async with services.sessions() as session:
        owed = (
            await session.scalars(select(Update.pass_id).where(Update.wallet == GOOGLE, Update.queued))
        ).all()
        behind = (
            await session.scalars(
                select(Update.pass_id).where(
                    Update.wallet == GOOGLE, Update.wanted_version > Update.sent_version
                )
            )
        ).all()
        objects = (await session.scalars(select(GoogleObject))).all()
        balances = (await session.scalars(select(Account.balance))).all()
        rings = (await session.scalars(select(Ring))).all()
        versions = (await session.scalars(select(Pass.version))).all()
        kinds = [line.kind for line in await trace.story(session, cards[0].id)]
    shown = [world.google.card(each.object_id).of_object["loyaltyPoints"]["balance"] for each in objects]
    assert (behind, owed) == ([], [])
    assert shown == [{"string": str(10 * CHANGES)}] * PASSES
    assert (set(balances), set(versions)) == ({10 * CHANGES}, {1 + 2 * CHANGES})
    rang = Counter((each.object_id, each.cause) for each in phone.notifications)
    for each in objects:
        assert all(1 <= rang[each.object_id, cause] <= CHANGES for cause in ("field", "message"))  # coalesced
        held = world.google.card(each.object_id).of_object["messages"]
        assert len({message["id"] for message in held}) == len(held) <= CHANGES  # never doubled
        assert held[-1]["body"] == f"News {CHANGES - 1}"
    assert len(rings) >= sum(rang.values())  # what may have rung is counted, and nothing rings uncounted
    assert kinds.count(trace.GOOGLE_INSERTED) == 1
    assert world.google.tokens.issued == 1
