from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
import jwt
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from app.simulators.google_wallet import ISSUER_ID, Faults, GoogleWalletSimulator, running
from app.simulators.google_wallet.answers import Refused
from app.simulators.serving import serve
from tests.conftest import ManualClock
from tests.google import CLASS_ID, EMAIL, OBJECT_ID, class_body, key_pair, object_body, save_link
from tests.make import NOON

SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
MESSAGE = {"header": "News", "body": "Double points", "id": "m1", "messageType": "TEXT_AND_NOTIFY"}


def assertion(**changes):
    now = int(NOON.timestamp())
    claims = {
        "iss": EMAIL,
        "aud": "https://oauth2.googleapis.com/token",
        "scope": SCOPE,
        "iat": now,
        "exp": now + 3600,
    }
    key = changes.pop("key", key_pair().private)
    return jwt.encode(claims | changes, key, algorithm="RS256")


async def ask_token(http, **changes):
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return await http.post("/token", data={"grant_type": grant, "assertion": assertion(**changes)})


class Api:
    """The REST API, signed in."""

    def __init__(self, http, simulator, clock):
        self.http, self.simulator, self.clock = http, simulator, clock

    async def __call__(self, method, path, body=None, **query):
        return await self.http.request(method, f"/walletobjects/v1/{path}", json=body, params=query)

    async def reason(self, method, path, body=None):
        answer = await self(method, path, body)
        return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


@pytest.fixture
async def api():
    clock = ManualClock()
    simulator = GoogleWalletSimulator({EMAIL: key_pair().public}, callback_waits=(0.0, 0.0), clock=clock)
    transport = httpx2.ASGITransport(simulator.app)
    async with httpx2.AsyncClient(base_url="http://google", transport=transport) as http:
        token = (await ask_token(http)).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield Api(http, simulator, clock)
    await simulator.stop()


@pytest.fixture
async def card(api):
    """A class and an object of it."""
    assert (await api("POST", "loyaltyClass", class_body())).status_code == 200
    assert (await api("POST", "loyaltyObject", object_body())).status_code == 200
    return api


@pytest.fixture
async def held(card):
    """The object on the phone of an account."""
    account = card.simulator.account("anna")
    card.simulator.save(account, save_link({"loyaltyObjects": [{"id": OBJECT_ID, "classId": CLASS_ID}]}))
    return account


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "http://127.0.0.1/token"},
        {"iss": "stranger@example.iam.gserviceaccount.com"},
        {"scope": "https://www.googleapis.com/auth/drive"},
        {"exp": int(NOON.timestamp()) + 7200},
    ],
)
async def test_a_token_is_given_for_googles_own_audience_scope_and_hour_only(api, changes):
    assert (await ask_token(api.http)).json()["expires_in"] == 3600

    refused = await ask_token(api.http, **changes)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_a_token_that_is_old_or_made_up_opens_nothing(card):
    card.clock.tick(3601)
    assert await card.reason("GET", f"loyaltyObject/{OBJECT_ID}") == (401, "authError")

    card.http.headers["Authorization"] = "Bearer ya29.made-up"
    assert await card.reason("GET", f"loyaltyObject/{OBJECT_ID}") == (401, "authError")


async def test_an_account_that_is_no_user_of_the_issuer_is_denied(card):
    card.simulator.permitted.clear()

    assert await card.reason("GET", f"loyaltyObject/{OBJECT_ID}") == (403, "permissionDenied")


@pytest.mark.parametrize(
    ("kind", "body", "refused"),
    [
        ("loyaltyClass", class_body(), (409, "alreadyExists")),
        ("loyaltyClass", class_body(id="coffee"), (400, "invalidResource")),
        ("loyaltyClass", class_body(id=f"{ISSUER_ID}.a b"), (400, "invalidResource")),
        ("loyaltyClass", class_body(id="3388000000000000000.a"), (403, "permissionDenied")),
        ("loyaltyClass", class_body(id=f"{ISSUER_ID}.b", reviewStatus=None), (400, "badRequest")),
        ("loyaltyClass", class_body(id=f"{ISSUER_ID}.b", reviewStatus="APPROVED"), (400, "badRequest")),
        ("loyaltyClass", class_body(id=f"{ISSUER_ID}.b", programName=""), (400, "badRequest")),
        ("loyaltyObject", object_body(), (409, "alreadyExists")),
        ("loyaltyObject", object_body(id=f"{ISSUER_ID}.c", classId=f"{ISSUER_ID}.x"), (404, "classNotFound")),
        ("loyaltyObject", object_body(id=f"{ISSUER_ID}.c", state="active"), (400, "badRequest")),
        ("loyaltyObject", object_body(id=f"{ISSUER_ID}.c", barcode={"type": "QR"}), (400, "badRequest")),
        (
            "loyaltyObject",
            object_body(id=f"{ISSUER_ID}.c", textModulesData=[{"id": "a.b", "body": "x"}]),
            (400, "badRequest"),
        ),
    ],
)
async def test_what_cannot_be_inserted(card, kind, body, refused):
    assert await card.reason("POST", kind, body) == refused


async def test_fields_google_does_not_know_are_dropped_without_a_word(card):
    answer = await card("PATCH", f"loyaltyObject/{OBJECT_ID}", {"colour": "red", "accountName": "Anna"})

    assert answer.status_code == 200
    stored = (await card("GET", f"loyaltyObject/{OBJECT_ID}")).json()
    assert stored["accountName"] == "Anna"
    assert "colour" not in stored


async def test_a_patch_merges_and_a_put_replaces(card):
    card_path = f"loyaltyObject/{OBJECT_ID}"
    await card("PATCH", card_path, {"accountName": "Anna", "loyaltyPoints": {"balance": {"int": 7}}})
    patched = (await card("GET", card_path)).json()
    await card("PATCH", card_path, {"accountName": None})
    removed = (await card("GET", card_path)).json()
    await card("PUT", card_path, object_body(9))
    replaced = (await card("GET", card_path)).json()

    assert patched["loyaltyPoints"] == {"label": "Points", "balance": {"int": 7}}
    assert (patched["accountName"], "accountName" in removed) == ("Anna", False)
    assert (replaced["loyaltyPoints"]["balance"], replaced["version"]) == ({"int": 9}, "4")


async def test_a_list_is_replaced_whole_and_an_empty_one_is_cleared_by_put_only(card):
    card_path = f"loyaltyObject/{OBJECT_ID}"
    lines = [{"id": "a", "body": "1"}, {"id": "b", "body": "2"}]
    await card("PATCH", card_path, {"textModulesData": lines})
    await card("PATCH", card_path, {"textModulesData": lines[:1]})
    await card("PATCH", card_path, {"textModulesData": []})
    assert (await card("GET", card_path)).json()["textModulesData"] == lines[:1]

    await card("PUT", card_path, object_body())

    assert "textModulesData" not in (await card("GET", card_path)).json()


async def test_every_change_of_a_class_asks_for_review_and_is_approved(card):
    path = f"loyaltyClass/{CLASS_ID}"
    assert await card.reason("PATCH", path, {"programName": "Tea"}) == (400, "badRequest")

    await card("PATCH", path, {"programName": "Tea", "reviewStatus": "UNDER_REVIEW"})

    stored = (await card("GET", path)).json()
    assert (stored["programName"], stored["reviewStatus"]) == ("Tea", "APPROVED")


async def test_lists_come_in_pages(card):
    for number in range(5):
        await card("POST", "loyaltyObject", object_body(id=f"{ISSUER_ID}.more-{number}"))

    first = (await card("GET", "loyaltyObject", classId=CLASS_ID, maxResults=4)).json()
    token = first["pagination"]["nextPageToken"]
    second = (await card("GET", "loyaltyObject", classId=CLASS_ID, maxResults=4, token=token)).json()

    ids = [each["id"] for each in first["resources"] + second["resources"]]
    assert ids == [OBJECT_ID, *(f"{ISSUER_ID}.more-{number}" for number in range(5))]
    assert "nextPageToken" not in second["pagination"]
    assert [
        each["id"] for each in (await card("GET", "loyaltyClass", issuerId=ISSUER_ID)).json()["resources"]
    ] == [CLASS_ID]


async def test_the_quota_refuses_what_is_over_twenty_in_a_second(card):
    card.clock.tick(10)
    statuses = [(await card("GET", f"loyaltyObject/{OBJECT_ID}")).status_code for _ in range(21)]
    card.clock.tick(0.5)
    later = [(await card("GET", f"loyaltyObject/{OBJECT_ID}")).status_code for _ in range(11)]

    assert statuses == [200] * 20 + [429]
    assert later == [200] * 10 + [429]
    assert card.simulator.quota.refused == 2


async def test_a_balance_rings_three_times_a_day_and_only_when_asked_to(card, held):
    async def change(points, **fields):
        card.clock.tick(60)
        body = {"loyaltyPoints": {"balance": {"int": points}}, **fields}
        assert (await card("PATCH", f"loyaltyObject/{OBJECT_ID}", body)).status_code == 200
        return len(held.notifications)

    notify = {"notifyPreference": "NOTIFY_ON_UPDATE"}
    assert await change(1) == 0
    assert [await change(points, **notify) for points in (2, 2, 3, 4, 5)] == [1, 1, 2, 3, 3]
    assert "notifyPreference" not in (await card("GET", f"loyaltyObject/{OBJECT_ID}")).json()
    assert held.notifications[0].cause == "field"

    card.clock.now = NOON + timedelta(hours=25)
    token = await ask_token(
        card.http, iat=int(card.clock.now.timestamp()), exp=int(card.clock.now.timestamp()) + 60
    )
    card.http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
    assert await change(6, **notify) == 4


async def test_a_name_rings_nobody_though_it_was_asked_to(card, held):
    body = {"accountName": "Anna", "notifyPreference": "NOTIFY_ON_UPDATE"}

    await card("PATCH", f"loyaltyObject/{OBJECT_ID}", body)

    assert held.notifications == []


async def test_the_fourth_ringing_message_of_a_day_is_refused_and_a_silent_one_is_not(card, held):
    path = f"loyaltyObject/{OBJECT_ID}/addMessage"
    for number in range(3):
        answer = await card("POST", path, {"message": MESSAGE | {"id": f"m{number}"}})
        assert answer.json()["resource"]["hasUsers"] is True

    assert await card.reason("POST", path, {"message": MESSAGE}) == (403, "quotaExceeded")
    assert (await card("POST", path, {"message": MESSAGE | {"messageType": "TEXT"}})).status_code == 200
    assert [each.cause for each in held.notifications] == ["message"] * 3
    assert len((await card("GET", f"loyaltyObject/{OBJECT_ID}")).json()["messages"]) == 4


async def test_a_message_of_the_class_reaches_every_holder_in_one_call(card, held):
    assert (
        await card("POST", f"loyaltyClass/{CLASS_ID}/addMessage", {"message": MESSAGE})
    ).status_code == 200

    assert [(each.object_id, each.title) for each in held.notifications] == [(OBJECT_ID, "Coffee House")]


async def test_an_eleventh_message_is_refused_and_the_same_id_is_not_a_message_the_less(card):
    path = f"loyaltyObject/{OBJECT_ID}/addMessage"
    for _ in range(10):
        assert (await card("POST", path, {"message": MESSAGE | {"messageType": "TEXT"}})).status_code == 200

    assert (await card.reason("POST", path, {"message": MESSAGE}))[0] == 400


async def test_a_request_may_be_done_and_answered_503(card):
    path = f"loyaltyObject/{OBJECT_ID}"
    card.simulator.faults = Faults(lost=1.0)

    assert await card.reason("PATCH", path, {"accountName": "A"}) == (503, "backendError")

    card.simulator.faults = Faults()
    assert (await card("GET", path)).json()["accountName"] == "A"


async def test_a_connection_may_end_without_an_answer(card):
    card.simulator.faults = Faults(reset=1.0)

    async with running(card.simulator) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as http:
        with pytest.raises(httpx2.HTTPError):
            await http.get(f"/walletobjects/v1/loyaltyObject/{OBJECT_ID}")


@asynccontextmanager
async def receiver(statuses):
    """An address that takes callbacks, answering the given statuses in turn."""
    taken = []

    async def take(request):
        taken.append(await request.json())
        return Response(status_code=statuses[len(taken) - 1])

    async with serve(Starlette(routes=[Route("/google", take, methods=["POST"])])) as url:
        yield f"{url}/google", taken


async def test_saving_and_removing_is_called_back_until_it_is_taken(card):
    account = card.simulator.account("anna")
    link = save_link({"loyaltyObjects": [{"id": OBJECT_ID, "classId": CLASS_ID}]})
    async with receiver([503, 200, 200]) as (url, taken):
        await card(
            "PATCH",
            f"loyaltyClass/{CLASS_ID}",
            {"callbackOptions": {"url": url}, "reviewStatus": "UNDER_REVIEW"},
        )
        card.simulator.save(account, link)
        await card.simulator.delivered()
        card.simulator.save(account, link)
        card.simulator.remove(account, OBJECT_ID)
        await card.simulator.delivered()

    assert [each["protocolVersion"] for each in taken] == ["ECv2SigningOnly"] * 3
    assert taken[0] == taken[1]
    assert ['"save"' in taken[0]["signedMessage"], '"del"' in taken[2]["signedMessage"]] == [True, True]
    assert (await card("GET", f"loyaltyObject/{OBJECT_ID}")).json()["hasUsers"] is False


@pytest.mark.parametrize(
    "claims",
    [{"aud": "apple"}, {"typ": "other"}, {"payload": {}}, {"payload": {"loyaltyObjects": [{"id": "1.x"}]}}],
)
async def test_a_link_that_google_would_not_open(card, claims):
    link = save_link(**{"payload": {"loyaltyObjects": [{"id": OBJECT_ID, "classId": CLASS_ID}]}} | claims)

    with pytest.raises(Refused):
        card.simulator.save(card.simulator.account("anna"), link)


async def test_a_link_with_whole_bodies_makes_class_and_object(api):
    link = save_link({"loyaltyClasses": [class_body()], "loyaltyObjects": [object_body(5)]})

    assert api.simulator.save(api.simulator.account("anna"), link) == [OBJECT_ID]
    assert api.simulator.card(OBJECT_ID).of_object["loyaltyPoints"]["balance"] == {"int": 5}


async def test_a_picture_that_cannot_be_had_spoils_the_write():
    simulator = GoogleWalletSimulator({EMAIL: key_pair().public}, fetches_images=True, clock=ManualClock())
    async with (
        receiver([]) as (nowhere, _),
        running(simulator) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        http.headers["Authorization"] = f"Bearer {(await ask_token(http)).json()['access_token']}"
        logo = {"sourceUri": {"uri": f"{nowhere}/logo.png"}}
        api = Api(http, simulator, None)

        assert await api.reason("POST", "loyaltyClass", class_body(programLogo=logo)) == (400, "invalidImage")
