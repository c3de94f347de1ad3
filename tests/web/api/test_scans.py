"""What a till reads from a screen: whose card it is, and a code that is good for one time and one minute."""

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.main import create_app
from app.passes import issue
from app.settings import Settings
from app.wallets.google.rotating import totp
from app.wallets.google.wallet import totp_key
from tests.conftest import ManualClock
from tests.make import NOON, make_account, make_member

TEMPLATES = Path(__file__).parents[3] / "pass_templates"
ROTATING = '\n[google.rotating_barcode]\npattern = "{{ barcode }}.{totp_value_0}"\n'


@pytest.fixture
async def app(database_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[FastAPI]:
    """An installation whose cards show a code that changes."""
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES / "coffee", folder / "coffee")
    template = folder / "coffee" / "template.toml"
    template.write_text(template.read_text("utf-8") + ROTATING, "utf-8")
    settings = Settings(
        database_url=database_url,
        data_dir=tmp_path,
        pass_templates_dir=folder,
        worker=False,
        _env_file=None,
    )
    app = create_app(settings, clock=clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def card(sessions, program):
    async with sessions.begin() as session:
        member = await make_member(session, await make_account(session, program, balance=120))
        held = await issue.issue(session, member, template="coffee", now=NOON)
        return member, held


def code_of(app: FastAPI, held, at) -> str:
    key = totp_key(app.state.services.secret_key, held.serial_number)
    return totp(key, int(at.timestamp()) // 30, 8)


async def scan(client, value):
    answer = await client.post("/passes/scan", json={"value": value})
    return answer.status_code, answer.json()


async def test_a_code_of_now_is_proof_and_is_accepted_once(app, client, clock, card):
    member, held = card
    shown = f"{member.card_number}.{code_of(app, held, clock())}"

    status, told = await scan(client, shown)
    assert (status, told["proof"], told["pass_id"], told["balance"]) == (200, "code", held.id, 120)

    status, told = await scan(client, shown)
    assert (status, told["code"]) == (409, "code_used")

    clock.tick(30)
    status, _ = await scan(client, f"{member.card_number}.{code_of(app, held, clock())}")
    assert status == 200


async def test_a_request_sent_again_is_answered_as_before(app, client, clock, card):
    member, held = card
    body = {"value": f"{member.card_number}.{code_of(app, held, clock())}"}
    answers = [
        await client.post("/passes/scan", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_a_photograph_of_yesterday_is_refused(app, client, clock, card):
    member, held = card
    shown = f"{member.card_number}.{code_of(app, held, clock() - timedelta(minutes=2))}"
    status, told = await scan(client, shown)
    assert (status, told["code"]) == (409, "wrong_code")


async def test_the_code_of_another_card_is_refused(app, client, clock, card, sessions, program):
    member, _ = card
    async with sessions.begin() as session:
        other = await make_member(session, await make_account(session, program))
        others = await issue.issue(session, other, template="coffee", now=NOON)
    status, told = await scan(client, f"{member.card_number}.{code_of(app, others, clock())}")
    assert (status, told["code"]) == (409, "wrong_code")


async def test_a_fixed_barcode_names_the_card_and_proves_nothing(client, card):
    member, held = card
    status, told = await scan(client, member.card_number)
    assert (status, told["proof"], told["pass_id"]) == (200, "none", held.id)


async def test_a_barcode_of_nobody_is_said_to_be_one(client):
    status, told = await scan(client, "4000123456782.94287082")
    assert (status, told["code"]) == (404, "unknown_card")
