"""Is it up, is it ready, how is it doing; and who may know."""

from datetime import timedelta

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tests.make import NOON, make_issued


def reader(app, address: str) -> httpx2.AsyncClient:
    """A client at an address."""
    transport = httpx2.ASGITransport(app, client=(address, 1))
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


async def test_a_healthy_process_is_up_and_ready(client):
    healthy, ready = await client.get("/healthz"), await client.get("/readyz")

    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok", "process": "ok"})
    assert [(await client.head(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]


async def test_without_its_database_a_process_is_up_and_not_ready(
    app, client, database, database_url, tmp_path
):
    services = app.state.services
    await services.engine.dispose()
    await services.reader.dispose()
    if database == "sqlite":
        (tmp_path / "passbell.db").rename(tmp_path / "away.db")
        (tmp_path / "passbell.db").mkdir()
    else:
        services.reader.sync_engine.pool._creator = services.engine.sync_engine.pool._creator = refuse

    healthy, ready, metrics = [await client.get(path) for path in ("/healthz", "/readyz", "/metrics")]

    assert healthy.status_code == 200
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert ready.json()["checks"]["database"] != "ok"
    assert metrics.status_code == 200
    assert "passbell_database_up 0.0" in metrics.text


async def test_a_process_that_was_asked_to_stop_is_well_and_not_ready(app, client):
    app.state.is_leaving = True

    healthy, ready = await client.get("/healthz"), await client.get("/readyz")

    assert healthy.status_code == 200
    assert (ready.status_code, ready.json()["checks"]["process"]) == (503, "asked to stop")


def refuse(*_args):
    raise ConnectionRefusedError("the database is away")


async def test_a_database_behind_the_program_is_not_ready(services, client):
    async with services.sessions() as session:
        newest = await session.scalar(text("SELECT version_num FROM alembic_version"))

    await set_version(services, "older")
    ready = await client.get("/readyz")
    await set_version(services, newest)

    assert ready.status_code == 503
    assert "passbell migrate" in ready.json()["checks"]["database"]


async def set_version(services, version):
    async with services.sessions.begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


@pytest.mark.parametrize("database", ["sqlite"])
async def test_only_this_machine_reads_metrics_without_a_token(app):
    async def status(address, **headers):
        return (await reader(app, address).get("/metrics", headers=headers)).status_code

    assert await status("127.0.0.1") == 200
    assert await status("127.8.8.8") == 200
    assert await status("::1") == 200
    assert await status("::ffff:127.0.0.1") == 200
    assert await status("10.0.0.1") == 403
    assert await status("not an address") == 403
    assert await status("127.0.0.1", **{"X-Forwarded-For": "203.0.113.9"}) == 403
    assert await status("127.0.0.1", Forwarded="for=203.0.113.9") == 403


@pytest.mark.parametrize("database", ["sqlite"])
async def test_with_a_token_set_only_its_bearer_reads_metrics(app, services):
    services.settings.metrics_token = SecretStr("c4n4ry")

    async def status(address, given):
        answer = await reader(app, address).get("/metrics", headers={"Authorization": given})
        assert "c4n4ry" not in answer.text
        return answer.status_code

    assert await status("203.0.113.9", "Bearer c4n4ry") == 200
    assert await status("127.0.0.1", "Bearer wrong") == 401
    assert await status("127.0.0.1", "c4n4ry") == 401
    assert await status("127.0.0.1", "") == 401


async def test_metrics_say_what_wallets_are_owed_and_what_waits(app, services, clock):
    async with services.sessions.begin() as session:
        issued = await make_issued(session)
        await session.execute(text("UPDATE updates SET wanted_version = 2"))
    assert issued
    clock.tick(90)

    said = (await reader(app, "127.0.0.1").get("/metrics")).text

    assert "passbell_passes_behind 1.0" in said
    assert "passbell_oldest_owed_seconds 90.0" in said
    assert "passbell_database_up 1.0" in said
    assert 'passbell_push_stopped{service="apns"} 0.0' in said
    assert 'passbell_certificate_days_left{certificate="pass type"}' in said


@pytest.mark.parametrize("database", ["sqlite"])
async def test_readiness_warns_of_certificates_that_end_and_of_stopped_pushes(client, clock, services):
    ends = services.signer.certificate.not_valid_after_utc
    services.push_stop.stop("apns", "403 BadCertificate", NOON)

    soon = (await client.get("/readyz")).json()["warnings"]
    clock.now = ends - timedelta(days=60, hours=-1)
    later = await client.get("/readyz")

    assert "pushes to apns are stopped: 403 BadCertificate" in soon
    assert not any("pass type" in each for each in soon)
    assert any("the pass type certificate expires in " in each for each in later.json()["warnings"])
    assert later.status_code == 200
