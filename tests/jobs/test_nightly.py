"""What the clock starts at night."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from app import metrics, rate_limits
from app.db import new_id
from app.job_queue import Retry, kinds, run_worker, stats
from app.jobs import nightly, retention
from app.jobs.table import crons, handlers
from app.members.models import Account, Message, StoredAnswer
from app.passes import trace
from app.passes.models import DeviceLog, TraceEvent
from app.points import ledger
from app.points.models import Entry
from app.rate_limits import RateLimit
from tests.job_queue.conftest import until
from tests.make import NOON, make_account, make_issued, make_program

SOON = Retry(attempts_max=3, first_wait_seconds=0.1, longest_wait_seconds=0.1)


@pytest.fixture
def app_settings(app_settings, development_ca):
    return app_settings.model_copy(update={"apple_certificate_path": None, "mode": "production"})


async def test_limits_at_rest_are_pruned(clock, services):
    async with services.sessions.begin() as session:
        await rate_limits.take(session, "idle", limit=1, period_seconds=60, now=NOON)
        await rate_limits.take(session, "busy", limit=1, period_seconds=86_400, now=NOON)
    clock.tick(3600)

    await nightly.prune(services)

    async with services.sessions() as session:
        assert list(await session.scalars(select(RateLimit.key))) == ["busy"]


async def test_what_the_reconciler_finds_is_a_metric(services):
    async with services.sessions.begin() as session:
        await make_account(session, balance=7)  # no entry says where it came from

    await nightly.reconcile(services)

    assert metrics.LEDGER_MISMATCHES._value.get() >= 1


async def test_points_past_their_date_go_and_the_ledger_says_so(services, clock):
    async with services.sessions.begin() as session:
        account = await make_account(session, await make_program(session, points_expire_after_days=30))
        facts = {"reason": "x", "source": "till", "source_event": "1", "now": NOON}
        await ledger.earn(session, account.id, 40, **facts)
    clock.tick(31 * 86_400)

    await nightly.expire_points(services)

    async with services.sessions() as session:
        kinds = (await session.scalars(select(Entry.kind).order_by(Entry.sequence))).all()
        assert (await session.get_one(Account, account.id)).balance == 0
    assert kinds == ["earn", "expire"]


async def test_old_log_lines_and_answers_are_dropped_and_young_ones_kept(services):
    async with services.sessions.begin() as session:
        program = await make_program(session)
        for number, age in enumerate((1, 20, 40)):
            at = NOON - timedelta(days=age)
            session.add(DeviceLog(id=f"log_{number}", line="x", user_agent="", at=at))
            answer = {"request_hash": "0", "status": 201, "body": b"{}", "at": at}
            session.add(StoredAnswer(program_id=program.id, key=str(number), **answer))

    await nightly.prune(services)

    async with services.sessions() as session:
        assert (await session.scalars(select(DeviceLog.id))).all() == ["log_0"]
        assert sorted(await session.scalars(select(StoredAnswer.key))) == ["0", "1"]


async def test_old_stories_and_finished_messages_go_and_the_rest_stays(services, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    old, young = NOON - timedelta(days=401), NOON - timedelta(days=399)
    async with services.sessions.begin() as session:
        issued = await make_issued(session)
        program_id = issued.program_id
        await session.execute(delete(TraceEvent))
        for number, at in enumerate([old] * 5 + [young]):
            await trace.record(session, program_id, [issued.id], f"kind {number}", now=at)
        for state in ("queued", "sending", "sent", "delivered", "failed", "unknown"):
            for at in (old, young):
                message = {"channel": "sms", "purpose": "pass_link", "recipient": "+7", "text": "x"}
                age = {"created_at": at, "error": f"{state} {at:%Y%m%d}", "state": state}
                session.add(Message(id=new_id("msg"), program_id=program_id, **message, **age))

    await retention.prune(services)

    async with services.sessions() as session:
        assert (await session.scalars(select(TraceEvent.kind))).all() == ["kind 5"]
        kept = sorted(await session.scalars(select(Message.error)))
    every = [f"{state} {young:%Y%m%d}" for state in ("queued", "sending", "sent", "delivered", "failed")]
    unclear = [f"{state} {old:%Y%m%d}" for state in ("queued", "sending", "unknown")]
    assert kept == sorted([*every, *unclear, f"unknown {young:%Y%m%d}"])


async def test_what_the_clock_asks_for_is_tried_again_after_a_failure(services, clock, monkeypatch):
    tried = []

    async def fail_once(_services):
        tried.append(clock())
        if len(tried) == 1:
            raise OSError("the database is away")

    expression, _ = nightly.DUTIES["retier"]
    monkeypatch.setitem(nightly.DUTIES, "retier", (expression, fail_once))
    known = handlers(services)
    known[kinds.NIGHTLY] = replace(known[kinds.NIGHTLY], retry=SOON)
    asked = {cron.name: cron.function for cron in crons(services)}
    stop = asyncio.Event()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(run_worker(services.engine, known, stop=stop))
        await asked["retier"]()
        await until(lambda: nothing_waits(services))
        stop.set()

    assert len(tried) == 2


async def nothing_waits(services) -> bool:
    async with services.sessions() as session:
        return await stats(session) == []
