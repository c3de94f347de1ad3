"""What `passbell doctor` says of Google Wallet, asked of the simulator on a real socket."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from app.cli.doctor_google import examine_google
from app.settings import Settings
from app.simulators.google_wallet import ISSUER_ID, GoogleWalletSimulator, running
from app.simulators.serving import serve
from tests.google import EMAIL, key_pair, write_account


@pytest.fixture
async def asked(tmp_path):
    """The simulator, and a function that gives doctor's (level, code) for some settings."""
    simulator = GoogleWalletSimulator({EMAIL: key_pair().public})
    pictures = Starlette(routes=[Route("/images/{name}", lambda _: Response(b"png", media_type="image/png"))])
    async with running(simulator) as url, serve(pictures) as public_url:
        values = {
            "google_issuer_id": ISSUER_ID,
            "google_service_account_path": write_account(tmp_path, url),
            "google_api_url": url,
            "public_url": public_url,
        }

        async def ask(**changes):
            settings = Settings.model_validate(values | changes)
            return [(each.level, each.code) for each in await asyncio.to_thread(examine_google, settings)]

        yield simulator, ask


async def test_an_account_that_may_act_and_pictures_that_can_be_had(asked):
    assert await asked[1]() == [("ok", "google_access"), ("ok", "google_pictures")]


async def test_nothing_is_said_without_google_and_half_of_it_is_an_error(asked):
    nothing = {"google_issuer_id": None, "google_service_account_path": None}

    assert await asked[1](**nothing) == []
    assert await asked[1](google_issuer_id=None) == [("error", "google_incomplete")]


async def test_bad_credentials_and_a_missing_permission_are_told_apart(asked, tmp_path):
    simulator, ask = asked
    (tmp_path / "broken.json").write_text("{}")
    assert await ask(google_service_account_path=tmp_path / "broken.json") == [("error", "google_key_file")]

    simulator.permitted.clear()
    assert await ask() == [("error", "google_no_permission")]

    simulator.tokens.public_keys.clear()
    assert await ask() == [("error", "google_credentials")]


async def test_a_picture_that_google_could_not_fetch_is_an_error(asked):
    found = await asked[1](public_url="http://127.0.0.1:9")

    assert found[0] == ("ok", "google_access")
    assert set(found[1:]) == {("error", "google_picture_unreachable")}


async def test_a_google_that_does_not_answer_is_a_warning(asked):
    assert await asked[1](google_api_url="http://127.0.0.1:9") == [("warning", "google_unreachable")]
