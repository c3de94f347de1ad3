"""What `passbell doctor` says of Google Wallet, asked of the simulator on a real socket."""

import asyncio
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from app.cli.doctor_google import examine_google
from app.clock import utc_now
from app.passes.models import GoogleObject
from app.settings import Settings
from app.simulators.google_wallet import ISSUER_ID, GoogleWalletSimulator, running
from app.simulators.serving import serve
from tests.google import EMAIL, key_pair, write_account
from tests.make import NOON, make_account, make_issued, make_program


@pytest.fixture
async def asked(tmp_path, database_url):
    """The simulator, and a function that gives doctor's (level, code) for some settings."""
    simulator = GoogleWalletSimulator({EMAIL: key_pair().public})
    pictures = Starlette(routes=[Route("/images/{name}", lambda _: Response(b"png", media_type="image/png"))])
    async with running(simulator) as url, serve(pictures) as public_url:
        values = {
            "google_issuer_id": ISSUER_ID,
            "google_service_account_path": write_account(tmp_path, url),
            "google_api_url": url,
            "public_url": public_url,
            "database_url": database_url,
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


async def _hold(sessions, count, **fields):
    """Passes that Google has and somebody holds."""
    async with sessions.begin() as session:
        program = await make_program(session)
        for _ in range(count):
            held = await make_issued(session, await make_account(session, program))
            known = GoogleObject(
                pass_id=held.id,
                program_id=program.id,
                object_id=f"1.{held.id}",
                class_id="1.coffee",
                resource="loyaltyObject",
                sent={},
                inserted_at=NOON,
                has_users=True,
                checked_at=utc_now() - timedelta(hours=2),
            )
            for name, value in fields.items():
                setattr(known, name, value)
            session.add(known)


async def test_passes_that_google_does_not_take_are_an_error_with_its_words(asked, sessions):
    await _hold(sessions, 1, saved_at=NOON, refusal="heroImage could not be fetched")

    assert ("error", "google_refused") in await asked[1]()


@pytest.mark.parametrize(("count", "is_said"), [(2, False), (3, True)])
async def test_saves_that_no_callback_told_of_are_a_warning(asked, sessions, count, is_said):
    await _hold(sessions, count)

    assert (("warning", "google_callbacks_silent") in await asked[1]()) is is_said


@pytest.mark.parametrize("address", ["sqlite:///{folder}/none.db", "postgresql://nobody@127.0.0.1:9/none"])
async def test_a_database_that_is_not_there_is_said(asked, tmp_path, address):
    found = await asked[1](database_url=address.format(folder=tmp_path))

    assert ("warning", "google_books") in found
