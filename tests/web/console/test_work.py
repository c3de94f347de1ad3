"""The work in the console: what gave up is shown with its reason and put back, once, by name."""

import asyncio

import pytest
from sqlalchemy import select

from app.errors import PermanentFailure
from app.job_queue import Registered, enqueue, held, run_worker, stats
from app.staff.models import AuditEntry
from tests.job_queue.conftest import until
from tests.web.console.test_pages import HOSTILE, refuse_scripts


@pytest.fixture
async def jobs(services):
    """Three jobs that gave up."""

    async def ring(args):
        raise PermanentFailure(f"403 {HOSTILE}")

    async def given_up():
        async with services.sessions() as session:
            return len(await held(session)) == 3

    async with services.sessions.begin() as session:
        for number in range(3):
            await enqueue(session, "ring", {"pass_id": f"p{number} {HOSTILE}"})
    stop = asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(run_worker(services.engine, {"ring": Registered(ring)}, stop=stop))
        await until(given_up)
        stop.set()
    async with services.sessions() as session:
        return await held(session)


async def states(services):
    async with services.sessions() as session:
        return {line.state: line.count for line in await stats(session) if line.kind == "ring"}


async def requeued(services):
    async with services.sessions() as session:
        query = select(AuditEntry).where(AuditEntry.action == "job.requeued").order_by(AuditEntry.number)
        return [(each.subject, each.after) for each in await session.scalars(query)]


async def test_what_gave_up_is_shown_and_put_back_once(signed_in, services, jobs):
    browser, _ = await signed_in("owner")
    page = (await browser.get("/console/work")).text
    refuse_scripts(page)
    assert page.count("PermanentFailure: 403") == 3

    for _ in range(2):
        answer = await browser.post(f"/console/work/{jobs[0].id}/requeue")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/work")
    assert await states(services) == {"queued": 1, "held": 2}

    await browser.post("/console/work/requeue", data={"job_id": [str(job.id) for job in jobs]})
    assert await states(services) == {"queued": 3}
    assert await requeued(services) == [(str(jobs[0].id), {}), ("shown", {"jobs": 2})]
    assert "Nothing has given up." in (await browser.get("/console/work")).text


@pytest.mark.parametrize("path", ["/console/work/0/requeue", "/console/work/x/requeue"])
async def test_what_is_no_job_is_refused(signed_in, services, path):
    browser, _ = await signed_in("owner")

    assert (await browser.post(path)).status_code in (404, 422)
    assert (await browser.post("/console/work/requeue", data={"job_id": "x"})).status_code == 422
    assert (await browser.post("/console/work/requeue")).status_code == 303
    assert await requeued(services) == []
