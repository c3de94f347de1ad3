import asyncio
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.errors import PermanentFailure, TemporaryFailure
from app.simulators.google_wallet import ISSUER_ID, Faults, GoogleWalletSimulator, running
from app.simulators.serving import serve
from app.wallets.google.api import NOTIFY, GoogleApi, Inserted, Messaged
from app.wallets.google.errors import Answer, IssuerRefused, NotAccepted, TooFast, failure
from app.wallets.google.service_account import load_service_account
from tests.google import EMAIL, OBJECT_ID, class_body, key_pair, object_body, write_account

MESSAGE = {"header": "News", "body": "Double points", "id": "m1", "messageType": "TEXT_AND_NOTIFY"}


@pytest.fixture
async def google(tmp_path):
    """The simulator, and whatever else a test opens beside it."""
    simulator = GoogleWalletSimulator({EMAIL: key_pair().public}, requests_per_second=1000)
    async with running(simulator) as url:
        yield simulator, url, tmp_path


@asynccontextmanager
async def connected(google, **options):
    _, url, folder = google
    account = load_service_account(write_account(folder, url))
    api = GoogleApi(account, issuer_id=ISSUER_ID, api_url=url, **options)
    try:
        yield api
    finally:
        await api.close()


@pytest.fixture(params=[False, True], ids=["single", "batch"])
async def api(google, request):
    """The API with a class and an object in it; every test also by batches."""
    async with connected(google, batches=request.param) as api:
        assert await api.insert("loyaltyClass", class_body()) is Inserted.NEW
        assert await api.insert("loyaltyObject", object_body()) is Inserted.NEW
        yield api


async def test_a_change_is_stored_and_what_is_missing_is_no_failure(api):
    changed = await api.patch("loyaltyObject", OBJECT_ID, object_body(7) | NOTIFY)

    assert changed["loyaltyPoints"]["balance"] == {"int": 7}
    assert await api.get("loyaltyObject", OBJECT_ID) == changed
    assert await api.get("loyaltyObject", OBJECT_ID, fields="id,version") == {"id": OBJECT_ID, "version": "2"}
    assert await api.patch("loyaltyObject", f"{ISSUER_ID}.nowhere", object_body(7)) is None
    assert await api.get("loyaltyObject", f"{ISSUER_ID}.nowhere") is None


async def test_a_field_google_would_drop_is_refused_by_name_before_anything_is_sent(api):
    for send in (
        api.insert("loyaltyObject", object_body(id=f"{ISSUER_ID}.new", pionts=1)),
        api.patch("loyaltyObject", OBJECT_ID, {"pionts": 1}),
        api.replace("loyaltyObject", OBJECT_ID, object_body(pionts=1)),
    ):
        with pytest.raises(NotAccepted, match="has no field pionts"):
            await send

    assert await api.get("loyaltyObject", f"{ISSUER_ID}.new") is None
    assert await api.get("loyaltyObject", OBJECT_ID, fields="version") == {"version": "1"}


async def test_an_insert_says_whether_it_is_new_known_or_lacks_its_class(api):
    orphan = object_body(id=f"{ISSUER_ID}.orphan", classId=f"{ISSUER_ID}.nowhere")

    assert await api.insert("loyaltyClass", class_body()) is Inserted.KNOWN
    assert await api.insert("loyaltyObject", object_body()) is Inserted.KNOWN
    assert await api.insert("loyaltyObject", orphan) is Inserted.NO_CLASS


async def test_replacing_takes_what_was_read_and_clears_what_is_left_out(api):
    await api.patch("loyaltyObject", OBJECT_ID, {"textModulesData": [{"id": "a", "body": "1"}]})
    read = await api.get("loyaltyObject", OBJECT_ID)

    await api.replace("loyaltyObject", OBJECT_ID, {k: v for k, v in read.items() if k != "textModulesData"})

    assert "textModulesData" not in await api.get("loyaltyObject", OBJECT_ID)


async def test_a_fourth_ringing_message_is_a_value_and_no_failure(api):
    said = [await api.add_message("loyaltyObject", OBJECT_ID, MESSAGE) for _ in range(4)]

    assert said == [Messaged.ADDED] * 3 + [Messaged.OVER_QUOTA]
    silent = MESSAGE | {"messageType": "TEXT"}
    assert await api.add_message("loyaltyObject", OBJECT_ID, silent) is Messaged.ADDED
    assert await api.add_message("loyaltyObject", f"{ISSUER_ID}.nowhere", silent) is Messaged.MISSING


async def test_a_body_google_cannot_use_is_refused_with_its_words(api):
    with pytest.raises(NotAccepted, match="400 badRequest: Invalid value at 'state'"):
        await api.patch("loyaltyObject", OBJECT_ID, {"state": "active"})


async def test_an_account_without_permission_is_told_apart_from_a_quota(api, google):
    google[0].permitted.clear()

    with pytest.raises(IssuerRefused, match="403 permissionDenied"):
        await api.get("loyaltyObject", OBJECT_ID)


async def test_the_issuers_name_shows_that_we_have_access(api):
    assert await api.check_access() == "Passbell"


async def test_one_token_serves_all_and_a_revoked_one_is_renewed_once(google):
    simulator = google[0]
    async with connected(google) as api:
        await asyncio.gather(*(api.check_access() for _ in range(10)))
        assert simulator.tokens.issued == 1

        simulator.tokens.revoke_all()
        await asyncio.gather(*(api.check_access() for _ in range(10)))

    assert simulator.tokens.issued == 2


async def test_an_account_google_does_not_know_gets_no_token(google):
    google[0].tokens.public_keys.clear()

    async with connected(google) as api:
        with pytest.raises(IssuerRefused, match="no token"):
            await api.check_access()


@pytest.mark.parametrize("faults", [Faults(lost=1.0), Faults(reset=1.0), Faults(slow_seconds=5)])
async def test_an_answer_that_does_not_come_is_for_later(google, faults):
    async with connected(google, deadline_seconds=0.5) as api:
        await api.check_access()
        google[0].faults = faults

        with pytest.raises(TemporaryFailure):
            await api.insert("loyaltyClass", class_body())


async def test_nobody_listening_is_for_later(google):
    _, url, folder = google
    account = load_service_account(write_account(folder, "http://127.0.0.1:9"))
    api = GoogleApi(account, issuer_id=ISSUER_ID, api_url=url)

    with pytest.raises(TemporaryFailure, match="token endpoint does not answer"):
        await api.check_access()
    await api.close()


async def test_more_than_a_batch_holds_travels_in_several(google):
    async with connected(google, batches=True) as api:
        await api.insert("loyaltyClass", class_body())
        cards = [object_body(id=f"{ISSUER_ID}.card-{number}") for number in range(120)]
        said = await asyncio.gather(*(api.insert("loyaltyObject", card) for card in cards))

    assert said == [Inserted.NEW] * 120


async def test_a_batch_that_is_not_answered_fails_everything_in_it(google, tmp_path):
    """A server that gives out tokens and answers a batch with a page."""
    token = {"access_token": "t", "expires_in": 3600}
    routes = [
        Route("/token", lambda _: JSONResponse(token), methods=["POST"]),
        Route("/batch", lambda _: JSONResponse({}), methods=["POST"]),
    ]
    async with serve(Starlette(routes=routes)) as url:
        account = load_service_account(write_account(tmp_path, url))
        api = GoogleApi(account, issuer_id=ISSUER_ID, api_url=url, batches=True)
        said = await asyncio.gather(*(api.check_access() for _ in range(3)), return_exceptions=True)
        await api.close()

    assert [type(each) for each in said] == [TemporaryFailure] * 3


def answer(status, reason, message=""):
    return Answer(status, {"error": {"code": status, "errors": [{"reason": reason, "message": message}]}})


@pytest.mark.parametrize(
    ("given", "raised"),
    [
        (answer(401, "authError"), IssuerRefused),
        (answer(403, "permissionDenied"), IssuerRefused),
        (answer(403, "rateLimitExceeded"), TooFast),
        (answer(403, "userRateLimitExceeded"), TooFast),
        (answer(429, "rateLimitExceeded"), TooFast),
        (Answer(429), TooFast),
        (answer(400, "badRequest"), NotAccepted),
        (answer(404, "notFound"), NotAccepted),
        (answer(500, "backendError"), TemporaryFailure),
        (Answer(502), TemporaryFailure),
        (answer(503, "backendError"), TemporaryFailure),
    ],
)
def test_a_refusal_is_judged_by_its_status_and_reason(given, raised):
    assert type(failure(given)) is raised
    assert issubclass(raised, TemporaryFailure | PermanentFailure)


@pytest.mark.parametrize(
    ("given", "is_over"),
    [
        (answer(403, "quotaExceeded"), True),
        (answer(429, "QuotaExceededException"), True),
        (answer(429, "", "QuotaExceededException: too many"), True),
        (answer(403, "permissionDenied"), False),
        (answer(429, "rateLimitExceeded"), False),
    ],
)
def test_a_quota_of_messages_is_known_under_either_status(given, is_over):
    assert given.is_over_quota is is_over
