"""`passbell reconcile` in a terminal: what it prints and how it exits."""

import asyncio
import json

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli.reconcile import reconcile
from tests.make import make_account

cli = typer.Typer()
cli.command()(reconcile)


@pytest.fixture
def run(database_url, monkeypatch):
    monkeypatch.setenv("PASSBELL_DATABASE_URL", database_url)

    async def invoke(*arguments: str):
        return await asyncio.to_thread(CliRunner().invoke, cli, arguments)

    return invoke


async def test_right_books_are_proven_in_one_line(run, sessions):
    async with sessions.begin() as session:
        await make_account(session)

    result = await run()

    assert (result.exit_code, result.output) == (0, "0 mismatches in 1 accounts\n")


async def test_the_first_wrong_row_is_named_and_the_exit_code_is_1(run, sessions):
    async with sessions.begin() as session:
        account = await make_account(session)
        await session.execute(text("UPDATE accounts SET balance = 5"))

    result = await run()

    assert result.exit_code == 1
    assert result.output.startswith(f"balance: accounts {account.id}: expected 0, found 5\n")


async def test_json_lists_every_mismatch(run, sessions):
    async with sessions.begin() as session:
        await make_account(session)
        await session.execute(text("UPDATE accounts SET balance = 5"))

    result = await run("--json")

    report = json.loads(result.output)
    assert result.exit_code == 1
    assert report["accounts"] == 1
    assert [each["kind"] for each in report["mismatches"]] == ["balance", "open lots"]
