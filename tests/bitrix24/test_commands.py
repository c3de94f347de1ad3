"""`passbell bitrix24` in a terminal."""

import asyncio

import pytest
from typer.testing import CliRunner

from app.cli.bitrix24 import bitrix24_app
from app.crm.bitrix24 import source as bitrix24
from app.inbox import sources
from app.inbox.models import Source
from tests.bitrix24.conftest import School

# What differs between the databases is tried by the processes, the gaps and the tab.
pytestmark = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def run(school: School, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PASSBELL_DATABASE_URL", school.services.settings.database_url)
    monkeypatch.setenv("PASSBELL_SECRET_KEY", school.services.secret_key.decode())

    async def invoke(*arguments: str):
        return await asyncio.to_thread(CliRunner().invoke, bitrix24_app, arguments)

    return invoke


async def test_connecting_seals_the_ways_in_and_sets_the_portal_up(run, school: School):
    school.portal.userfields.clear()
    async with school.services.sessions() as session:
        kept = sources.read_secrets(
            school.services.secret_key, await session.get_one(Source, school.source.id)
        )
    webhook = kept[bitrix24.WEBHOOK_URL].rstrip("/")

    result = await run("connect", "school", "--webhook-url", webhook, "--client-secret", "s3cret")
    await school.settle()

    assert (result.exit_code, result.output) == (0, "school: connected; the worker sets the portal up\n")
    assert webhook not in result.output
    assert len(school.portal.userfields) == 4
    async with school.services.sessions() as session:
        source = await session.get_one(Source, school.source.id)
    assert sources.read_secrets(school.services.secret_key, source)[bitrix24.CLIENT_SECRET] == "s3cret"


async def test_a_comparison_is_ordered_listed_and_printed_as_csv(run, school: School):
    school.won(1_000, school.add_client())
    await school.settle()

    ordered = await run("reconcile", "school")
    await school.work()
    listed = await run("reports", "school")
    report_id = listed.output.splitlines()[1].split()[0]
    printed = await run("report", "school", report_id)
    missing = await run("report", "school", "rec_no")
    unknown = await run("poll", "elsewhere")

    assert ordered.output == "school: ordered; the worker does it\n"
    assert "disputed,deal:1,1000.0 RUB,0.00,0,unknown_contact" in printed.output
    assert (missing.exit_code, unknown.exit_code) == (1, 1)
