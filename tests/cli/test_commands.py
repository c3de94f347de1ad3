"""`passbell` in a terminal: keys, accounts, passes, the database, and the files it writes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from click.testing import Result
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from app import migrations
from app.cli.openapi import document_text
from app.cli.root import app
from app.cli.settings import example_text
from app.clock import utc_now
from app.db import Sessions, open_engine
from app.members import api_keys
from app.members.models import Account, Program
from app.passes.issue import issue
from app.settings import PREFIX, Settings
from tests.make import NOON, make_account, make_member, make_program

ROOT = Path(__file__).parent.parent.parent
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("PASSBELL_DATABASE_URL", database_url)
    monkeypatch.setenv("PASSBELL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PASSBELL_PASS_TEMPLATES_DIR", str(ROOT / "pass_templates"))

    async def invoke(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return invoke


@pytest.fixture
async def program(sessions: Sessions) -> Program:
    async with sessions.begin() as session:
        return await make_program(session, slug="coffee")


@pytest.fixture
async def account(sessions: Sessions, program: Program) -> Account:
    async with sessions.begin() as session:
        account = await make_account(session, program, phone="+79123456789")
        await make_member(session, account)
        return account


async def parsed(run: Run, *arguments: str) -> Any:
    result = await run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


async def test_a_key_made_here_opens_the_api_until_it_is_revoked_here(
    run: Run, sessions: Sessions, program: Program
) -> None:
    made = await parsed(run, "key", "create", "till", "--scope", "members:read", "--scope", "passes:read")

    async with sessions.begin() as session:
        caller = await api_keys.caller_of(session, made["key"], now=NOON)
    assert (caller.program_id, caller.scopes) == (program.id, {"members:read", "passes:read"})

    await parsed(run, "key", "revoke", made["id"])
    listed = await parsed(run, "key", "list")
    assert [(key["name"], key["state"]) for key in listed] == [("till", "revoked")]
    assert made["key"] not in json.dumps(listed)
    async with sessions.begin() as session:
        with pytest.raises(api_keys.BadApiKey, match="revoked"):
            await api_keys.caller_of(session, made["key"], now=NOON)


@pytest.mark.parametrize("database", ["sqlite"])
async def test_an_unknown_scope_is_refused_with_those_there_are(run: Run, program: Program) -> None:
    result = await run("key", "create", "till", "--scope", "everything")

    assert result.exit_code == 1
    assert "everything" in result.output
    assert "members:read" in result.output


@pytest.mark.parametrize("database", ["sqlite"])
async def test_of_several_programmes_one_must_be_named(
    run: Run, sessions: Sessions, program: Program
) -> None:
    async with sessions.begin() as session:
        await make_program(session, slug="school")

    unnamed = await run("key", "list")
    unknown = await run("key", "list", "--program", "tea")
    named = await run("key", "list", "--program", "school")

    assert (unnamed.exit_code, unknown.exit_code, named.exit_code) == (1, 1, 0)
    assert "coffee, school" in unnamed.output


async def test_points_move_by_phone_number_and_the_same_event_moves_them_once(
    run: Run, account: Account
) -> None:
    earned = [
        await parsed(run, "account", "earn", "89123456789", "100", "--event", "order:1") for _ in range(2)
    ]
    spent = await parsed(run, "account", "redeem", account.id, "30", "--reason", "Cappuccino")
    await parsed(run, "account", "adjust", account.id, "-5")
    await parsed(run, "account", "reverse", spent["entry"], "--reason", "Returned")
    shown = await parsed(run, "account", "show", account.id)

    assert [each["repeated"] for each in earned] == [False, True]
    assert shown["balance"] == 95
    assert [entry["points"] for entry in shown["entries"]] == [30, -5, -30, 100]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("account", "redeem", "89123456789", "1"), "balance 0, asked 1"),
        (("account", "show", "acc_none"), "no account acc_none"),
        (("account", "show", "12"), "no phone can have this number"),
        (("account", "reverse", "ent_none"), "no entry ent_none"),
        (("pass", "trace", "pas_none"), "no pass pas_none"),
        (("key", "revoke", "key_none"), "no API key key_none"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_refusal_is_one_sentence_and_exit_code_1(
    run: Run, account: Account, arguments: tuple[str, ...], says: str
) -> None:
    result = await run(*arguments)

    assert result.exit_code == 1
    assert says in result.output
    assert len(result.output.splitlines()) == 1


async def test_a_pass_tells_its_story_and_is_replaced(run: Run, sessions: Sessions, account: Account) -> None:
    async with sessions.begin() as session:
        member = await make_member(session, account)
        issued = await issue(session, member, template="coffee", now=utc_now())

    new = await parsed(run, "pass", "reissue", issued.id, "--reason", "phone lost")
    story = await parsed(run, "pass", "trace", issued.serial_number)
    words = await run("pass", "trace", issued.id)

    assert new["pass"] != issued.id
    assert story["state"] == "voided"
    assert [event["kind"] for event in story["events"]] == ["issued", "voided", "changed"]
    assert "never installed" in words.output


@pytest.mark.parametrize("database", ["sqlite"])
async def test_migrate_says_whether_there_is_something_to_do_and_does_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    monkeypatch.setenv("PASSBELL_DATABASE_URL", url)
    engine = open_engine(url)
    await upgrade_to(engine, "2026_11_22_initial")

    before = await run("migrate", "--check")
    refused = await run("key", "list")
    done = await run("migrate")
    after = await run("migrate", "--check")

    assert [each.exit_code for each in (before, refused, done, after)] == [1, 1, 0, 0]
    assert "passbell migrate" in refused.output
    assert await migrations.is_current(engine)
    await engine.dispose()


def test_the_committed_env_example_is_what_the_settings_are() -> None:
    text = (ROOT / ".env.example").read_text("utf-8")

    assert text == example_text(), "run `passbell settings example`"
    for name in Settings.model_fields:
        assert f"#{PREFIX}{name.upper()}=" in text


def test_the_committed_openapi_document_is_what_the_api_is() -> None:
    assert (ROOT / "docs/openapi.json").read_text("utf-8") == document_text(), "run `passbell openapi`"


async def upgrade_to(engine: AsyncEngine, revision: str) -> None:
    def run(connection: Connection) -> None:
        configuration = migrations.config()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)

    async with engine.begin() as connection:
        await connection.run_sync(run)
