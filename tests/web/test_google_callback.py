import json
import random

import httpx2
import pytest
from sqlalchemy import delete, select

from app import job_queue
from app.job_queue import kinds
from app.jobs import google_watching
from app.jobs.update_google import update_google
from app.main import create_app
from app.passes import google_callbacks, trace
from app.passes.issue import issue
from app.passes.models import GoogleKeys, GoogleObject
from app.passes.versions import APPLE, GOOGLE
from app.settings import Settings
from app.simulators.google_wallet import ISSUER_ID
from app.simulators.google_wallet.callbacks import SigningKeys, message_of
from app.simulators.serving import serve
from tests.make import NOON, make_account, make_member, make_program
from tests.wallets.google.test_callback import mutated


@pytest.fixture
def app_settings(world, database_url, tmp_path):
    settings = {"database_url": database_url, "data_dir": tmp_path, "worker": False, **world.settings}
    return Settings.model_validate(settings | {"google_requests_per_second": 1000})


@pytest.fixture
async def google(services, world, clock):
    """The simulator on the services' clock, its keys made at NOON and known to us."""
    world.google.clock, world.google.keys = clock, SigningKeys(NOON)
    await google_watching.fetch_keys(services)
    return world.google


@pytest.fixture
async def card(services, google):
    """A pass that Google has; its row there."""
    async with services.sessions.begin() as session:
        program = await make_program(session, country="KZ", currency="KZT")
        member = await make_member(session, await make_account(session, program))
        issued = await issue(session, member, template="coffee", wallets=(APPLE, GOOGLE), now=NOON)
    await update_google(services, {"pass_id": issued.id})
    async with services.sessions() as session:
        return await session.get(GoogleObject, issued.id)


def callback(google, card, event="save"):
    message = message_of(event, card.class_id, card.object_id, now=NOON)
    return json.dumps(google.keys.signed(ISSUER_ID, message)).encode()


async def post(client, body):
    return (await client.post("/google/callback", content=body)).status_code


async def story(services, card):
    async with services.sessions() as session:
        return [line.kind for line in await trace.story(session, card.pass_id)]


async def waiting(services, kind):
    async with services.sessions() as session:
        return sum(each.count for each in await job_queue.stats(session) if each.kind == kind)


async def test_a_save_is_an_installation_and_the_holders_are_asked_for(services, client, google, card):
    body = callback(google, card)

    assert [await post(client, body) for _ in range(3)] == [204, 204, 204]

    assert (await story(services, card)).count("installed") == 1
    assert await waiting(services, kinds.CHECK_GOOGLE) == 1


async def test_a_removal_is_told_and_another_holder_is_not_forgotten(services, client, google, card):
    google.api.set_users(card.resource, card.object_id, has_users=True)
    for event in ("save", "del"):
        assert await post(client, callback(google, card, event)) == 204
    await google_watching.check_holders(services, {"pass_id": card.pass_id})

    async with services.sessions() as session:
        known = await session.get(GoogleObject, card.pass_id)
    assert (known.has_users, known.removed_at) == (True, NOON)
    google.api.set_users(card.resource, card.object_id, has_users=False)
    await google_watching.check_holders(services, {"pass_id": card.pass_id})
    async with services.sessions() as session:
        assert (await session.get(GoogleObject, card.pass_id)).has_users is False
    assert (await story(services, card))[-1] == "uninstalled"


@pytest.mark.parametrize("database", ["sqlite"])
async def test_of_mutated_callbacks_none_is_acted_upon_and_none_is_an_error(services, client, google, card):
    chance, body = random.Random(1), callback(google, card)
    assert await post(client, body) == 204

    statuses = {await post(client, mutated(body, chance)) for _ in range(200)}

    assert statuses <= {401, 204}
    assert (await story(services, card)).count("installed") == 1


@pytest.mark.parametrize("database", ["sqlite"])
async def test_without_keys_google_is_asked_to_call_again(services, client, google, card):
    async with services.sessions.begin() as session:
        await session.execute(delete(GoogleKeys))

    assert await post(client, callback(google, card)) == 503


@pytest.mark.parametrize("database", ["sqlite"])
async def test_keys_are_fetched_once_a_day_and_nonsense_replaces_none(services, clock, google):
    async def fetched_at():
        async with services.sessions() as session:
            return await session.scalar(select(GoogleKeys.fetched_at))

    clock.tick(3600)
    await google_watching.fetch_keys(services)
    assert await fetched_at() == NOON

    clock.tick(24 * 3600)
    google.keys.published = lambda: {"keys": []}
    await google_watching.fetch_keys(services)
    assert await fetched_at() == NOON

    del google.keys.published
    await google_watching.fetch_keys(services)
    assert await fetched_at() == clock()


@pytest.mark.parametrize("database", ["sqlite"])
async def test_saves_that_no_callback_announced_are_counted(services, clock, client, google, card):
    google.api.set_users(card.resource, card.object_id, has_users=True)
    await google_watching.check_night(services)
    assert await waiting(services, kinds.CHECK_GOOGLE) == 1
    await google_watching.check_holders(services, {"pass_id": card.pass_id})
    clock.tick(2 * 3600)

    async def unannounced():
        async with services.sessions() as session:
            return await google_callbacks.unannounced(session, now=clock())

    assert await unannounced() == 1
    metrics = (await client.get("/metrics")).text
    assert "passbell_google_unannounced 1.0" in metrics


@pytest.mark.parametrize("database", ["sqlite"])
async def test_google_itself_calls_back(app_settings, services, google, card):
    """Over a real socket, from the save on a phone to the line in the story."""
    app = create_app(app_settings, clock=services.clock)
    async with serve(app) as url:
        body = google.store.get("loyaltyClass", card.class_id)
        google.store.put("loyaltyClass", body | {"callbackOptions": {"url": f"{url}/google/callback"}})
        link = services.google.save_link(
            "coffee", serial_number=card.object_id.split(".")[1], class_id=card.class_id, now=NOON
        )
        account = google.account("anna")
        google.save(account, link)
        google.remove(account, card.object_id)
        await google.delivered()

    assert sorted((await story(services, card))[-2:]) == ["installed", "uninstalled"]


@pytest.mark.parametrize("database", ["sqlite"])
async def test_an_installation_without_google_has_no_such_door(app_settings, clock):
    app = create_app(app_settings.model_copy(update={"google_issuer_id": None}), clock=clock)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            assert await post(client, b"{}") == 404
