"""`passbell user` and `passbell audit`: letting people in, and proving what they did."""

import json

import pytest
from sqlalchemy import text

from tests.cli.test_commands import run  # noqa: F401

ADD = ("user", "add", "anna@example.com")


async def test_the_first_owner_is_let_in_from_the_terminal(run, sessions):  # noqa: F811
    made = await run(*ADD, "--json")
    listed = await run("user", "list", "--json")
    again = await run("user", "link", "ANNA@example.com")

    assert made.exit_code == 0, made.output
    assert "/console/link/" in json.loads(made.stdout)["link"]
    assert [(each["email"], each["role"]) for each in json.loads(listed.stdout)] == [
        ("anna@example.com", "owner")
    ]
    assert again.stdout.strip() != json.loads(made.stdout)["link"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("user", "add", "nobody"), "e-mail address"),
        (("user", "add", "b@example.com", "--role", "king"), "there is no role king"),
        (ADD, "is a user already"),
        (("user", "link", "b@example.com"), "no user b@example.com"),
        (("user", "shut-out", "anna@example.com"), "make another owner first"),
        (("audit", "verify", "--known", "00ff"), "cut off"),
    ],
)
async def test_what_cannot_be_is_one_sentence(run, sessions, arguments, words):  # noqa: F811
    await run(*ADD)

    refused = await run(*arguments)

    assert refused.exit_code == 1
    assert words in refused.stderr


async def test_the_log_is_whole_until_somebody_changes_it(run, sessions):  # noqa: F811
    await run(*ADD)
    whole = await run("audit", "verify", "--json")
    async with sessions.begin() as session:
        await session.execute(text("UPDATE audit_entries SET who_name = 'Boris' WHERE number = 1"))
    broken = await run("audit", "verify")

    assert json.loads(whole.stdout)["entries"] == 2
    assert (broken.exit_code, "entry 1 is not what was written" in broken.stderr) == (1, True)
