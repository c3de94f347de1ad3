"""The web service as phones call it: the contract, and the mistakes other servers were found to make."""

from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.main import create_app
from app.passes import trace
from app.passes.issue import authentication_token, issue, set_state
from app.passes.models import DeviceLog, Registration
from app.passes.versions import mark_changed
from tests.make import NOON, make_member

PASS_TYPE = "pass.org.passbell.test"
TOKEN = "ab" * 32


@dataclass
class Card:
    """An issued pass, as its holder's phone knows it."""

    app: FastAPI
    pass_id: str
    program_id: str
    serial_number: str
    authentication_token: str

    @property
    def path(self) -> str:
        return f"/apple/v1/passes/{PASS_TYPE}/{self.serial_number}"

    @property
    def authorized(self) -> dict[str, str]:
        return {"Authorization": f"ApplePass {self.authentication_token}"}

    async def change(self, *, now=NOON) -> None:
        async with self.app.state.services.sessions.begin() as session:
            await mark_changed(session, self.program_id, [self.pass_id], because={"a": "test"}, now=now)

    async def story(self) -> list[str]:
        await self.app.state.evidence.flush()
        async with self.app.state.services.sessions() as session:
            return [line.kind for line in await trace.story(session, self.pass_id)]


@pytest.fixture
async def make_card(app):
    async def make() -> Card:
        services = app.state.services
        async with services.sessions.begin() as session:
            issued = await issue(session, await make_member(session), template="coffee", now=NOON)
        token = authentication_token(services.secret_key, issued.serial_number)
        return Card(app, issued.id, issued.program_id, issued.serial_number, token)

    return make


@pytest.fixture
async def card(make_card):
    return await make_card()


def of_device(card, device="device-1"):
    return f"/apple/v1/devices/{device}/registrations/{PASS_TYPE}/{card.serial_number}"


async def register(client, card, *, device="device-1", push_token=TOKEN, headers=None):
    sent = {"pushToken": push_token}
    return await client.post(of_device(card, device), json=sent, headers=card.authorized | (headers or {}))


async def ask(client, tag=None, *, device="device-1", pass_type=PASS_TYPE):
    parameters = {} if tag is None else {"passesUpdatedSince": tag}
    return await client.get(f"/apple/v1/devices/{device}/registrations/{pass_type}", params=parameters)


async def registrations(app):
    async with app.state.services.sessions() as session:
        return list(await session.scalars(select(Registration)))


# Registering


async def test_a_new_registration_is_201_and_a_known_one_200_with_its_token_updated(app, client, card):
    statuses = [
        (await register(client, card)).status_code,
        (await register(client, card, push_token="cd" * 40)).status_code,
    ]

    assert statuses == [201, 200]
    assert [row.push_token for row in await registrations(app)] == ["cd" * 40]


async def test_one_phone_under_five_hundred_device_ids_leaves_twenty(app, client, card):
    statuses = {
        (await register(client, card, device=f"device-{number}")).status_code for number in range(100)
    }

    assert statuses == {201}
    assert len(await registrations(app)) == 20


async def test_unregistering_is_200_also_when_repeated_and_for_that_device_only(app, client, card):
    await register(client, card)
    await register(client, card, device="device-2")

    statuses = [(await client.delete(of_device(card), headers=card.authorized)).status_code for _ in range(2)]

    assert statuses == [200, 200]
    assert [row.device_library_identifier for row in await registrations(app)] == ["device-2"]
    assert await card.story() == [trace.ISSUED, trace.INSTALLED, trace.INSTALLED, trace.UNINSTALLED]


@pytest.mark.parametrize(
    ("headers", "push_service"),
    [
        ({}, "apns"),
        ({"User-Agent": "WalletPasses/2.4"}, "walletpasses"),
        ({"X-Pass-Client": "Passes"}, "pass2u"),
    ],
)
async def test_the_client_decides_which_push_service_reaches_it(app, client, card, headers, push_service):
    push_token = TOKEN if push_service == "apns" else "fcm:APA91bH-_x"

    answer = await register(client, card, push_token=push_token, headers=headers)

    assert answer.status_code == 201
    assert [(row.push_service, row.push_token) for row in await registrations(app)] == [
        (push_service, push_token)
    ]


async def test_walletpasses_authorises_with_its_own_scheme(app, client, card):
    headers = {"Authorization": f"AndroidPass {card.authentication_token}"}

    answer = await client.post(of_device(card), json={"pushToken": "android-1"}, headers=headers)
    served = await client.get(card.path, headers=headers)

    assert (answer.status_code, served.status_code) == (201, 200)
    assert [row.push_service for row in await registrations(app)] == ["walletpasses"]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b'{"pushToken": "short"}', 400, "pushToken"),
        (b'{"pushToken": "' + b"ab" * 101 + b'"}', 400, "pushToken"),
        (b'{"pushToken": "' + b"zz" * 32 + b'"}', 400, "pushToken"),
        (b'{"pushToken": 7}', 400, "pushToken"),
        (b"{}", 400, "pushToken"),
        (b"[]", 400, "object"),
        (b"", 400, "JSON"),
        (b"\xff\x00", 400, "JSON"),
        (b'{"pushToken": "' + b"ab" * 4000 + b'"}', 413, "4096"),
    ],
)
async def test_a_registration_that_is_not_one_is_refused_with_the_reason(
    app, client, card, body, status, named
):
    answer = await client.post(of_device(card), content=body, headers=card.authorized)

    assert answer.status_code == status
    assert named in answer.json()["detail"]
    assert await registrations(app) == []


# Who may


HEADERS_THAT_PROVE_NOTHING = [
    "",
    "ApplePass",
    "ApplePass ",
    "Bearer {token}",
    "Basic {token}",
    "{token}",
    "ApplePass {token}x",
    "ApplePass {token} {token}",
    "ApplePass token={token}",
    "ApplePass \xff\xfe",
    "ApplePass " + "a" * 5000,
]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("junk", HEADERS_THAT_PROVE_NOTHING)
async def test_junk_in_the_authorization_header_is_401(app, client, card, method, junk):
    path = card.path if method == "GET" else of_device(card)
    value = junk.format(token=card.authentication_token).encode("latin-1")

    answer = await client.request(method, path, headers={b"Authorization": value})

    assert answer.status_code == 401
    assert await registrations(app) == []


async def test_an_unknown_pass_and_a_wrong_token_get_the_same_answer(client, card):
    wrong = {"Authorization": "ApplePass wrong"}
    answers = [
        (await client.get(card.path, headers=wrong)),
        (await client.get(card.path.replace(card.serial_number, "0" * 32), headers=wrong)),
    ]
    for answer in answers:
        body = answer.json()
        assert (answer.status_code, body["code"]) == (401, "unauthorized")
        assert card.serial_number not in answer.text
    first, second = ({**answer.json(), "request_id": ""} for answer in answers)
    assert first == second


async def test_a_token_opens_its_own_pass_and_no_other(app, client, make_card):
    card, other = await make_card(), await make_card()

    statuses = [
        (await client.get(other.path, headers=card.authorized)).status_code,
        (await client.delete(of_device(other), headers=card.authorized)).status_code,
        (await client.post(of_device(other), json={"pushToken": TOKEN}, headers=card.authorized)).status_code,
    ]

    assert statuses == [401, 401, 401]
    assert await registrations(app) == []


async def test_a_wrong_token_leaves_a_line_in_the_story_and_a_flood_no_more(client, card):
    for _ in range(50):
        await client.get(card.path, headers={"Authorization": "ApplePass wrong"})

    assert await card.story() == [trace.ISSUED, trace.REFUSED]


async def test_a_pass_that_was_deleted_is_401_though_its_token_is_right(app, client):
    token = authentication_token(app.state.services.secret_key, "gone")
    headers = {"Authorization": f"ApplePass {token}"}
    device = f"/apple/v1/devices/device-1/registrations/{PASS_TYPE}/gone"

    statuses = [
        (await client.get(f"/apple/v1/passes/{PASS_TYPE}/gone", headers=headers)).status_code,
        (await client.post(device, json={"pushToken": TOKEN}, headers=headers)).status_code,
        (await client.delete(device, headers=headers)).status_code,
    ]

    assert statuses == [401, 401, 401]


# What changed


async def test_a_poll_tells_the_changed_serials_once_and_then_204(client, card):
    await register(client, card)
    first = await ask(client)
    await card.change()

    told = await ask(client, first.json()["lastUpdated"])
    quiet = await ask(client, told.json()["lastUpdated"])

    assert told.headers["content-type"] == "application/json"
    assert told.json()["serialNumbers"] == [card.serial_number]
    assert isinstance(told.json()["lastUpdated"], str)
    assert (quiet.status_code, quiet.content) == (204, b"")


@pytest.mark.parametrize(
    "tag", [None, "", "null", "2030-06-03T12:00:00+00:00", "\x00", "-1", "1.5", "9" * 400]
)
async def test_without_a_tag_of_ours_every_pass_is_told(client, card, tag):
    await register(client, card)

    answer = await ask(client, tag)

    assert answer.json()["serialNumbers"] == [card.serial_number]


@pytest.mark.parametrize("device", ["unknown", "%00", "%D1%8F", "x" * 500, "a b", "';--"])
async def test_an_unknown_device_is_204_and_never_400_or_404(client, device):
    assert (await ask(client, device=device)).status_code == 204


async def test_another_pass_type_has_no_news(client, card):
    await register(client, card)

    assert (await ask(client, pass_type="pass.another")).status_code == 204


async def test_all_changed_passes_are_told_though_they_changed_at_different_times(client, clock, make_card):
    cards = [await make_card() for _ in range(3)]
    for card in cards:
        await register(client, card)
    clock.tick(86_400)
    tag = (await ask(client)).json()["lastUpdated"]
    for number, card in enumerate(cards[:2], start=1):
        await card.change(now=clock.now + timedelta(hours=number))
    clock.tick(86_400)

    told = (await ask(client, tag)).json()

    assert sorted(told["serialNumbers"]) == sorted(card.serial_number for card in cards[:2])


async def test_changes_within_one_second_are_all_told_and_fetched(client, card):
    await register(client, card)
    tag, seen = "", None
    for _ in range(4):
        await card.change()
        news = await ask(client, tag)
        condition = {"If-Modified-Since": seen} if seen else {}
        fetched = await client.get(card.path, headers=card.authorized | condition)
        assert (news.status_code, fetched.status_code) == (200, 200)
        assert int(news.json()["lastUpdated"]) > int(tag or 0)
        tag, seen = news.json()["lastUpdated"], fetched.headers["last-modified"]


async def test_asking_is_traced(client, card):
    await register(client, card)
    await ask(client)

    assert await card.story() == [trace.ISSUED, trace.INSTALLED, trace.ASKED]


# The pass


async def test_a_pass_is_served_with_its_type_its_date_and_nobody_may_keep_it(client, card):
    answer = await client.get(card.path, headers=card.authorized)

    assert answer.status_code == 200
    assert answer.content.startswith(b"PK")
    assert answer.headers["content-type"] == "application/vnd.apple.pkpass"
    assert answer.headers["last-modified"] == format_datetime(NOON, usegmt=True)
    assert answer.headers["etag"] == 'W/"1"'
    assert "no-store" in answer.headers["cache-control"]
    assert await card.story() == [trace.ISSUED, trace.FETCHED]


async def test_head_answers_as_get_without_a_body(client, card):
    answer = await client.head(card.path, headers=card.authorized)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["last-modified"] == format_datetime(NOON, usegmt=True)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"If-Modified-Since": "Mon, 03 Jun 2030 12:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Monday, 03-Jun-30 12:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Mon Jun  3 12:00:00 2030"}, 304),
        ({"If-Modified-Since": "Mon, 03 Jun 2030 15:00:00 +0300"}, 304),
        ({"If-Modified-Since": "Mon, 03 Jun 2030 12:00:01 GMT"}, 304),
        ({"If-Modified-Since": "Mon, 03 Jun 2030 11:59:59 GMT"}, 200),
        ({"If-Modified-Since": "2030-06-03 12:00:00.123456"}, 200),
        ({"If-Modified-Since": "1906718400"}, 200),
        ({"If-Modified-Since": "(null)"}, 200),
        ({"If-Modified-Since": ""}, 200),
        ({"If-Modified-Since": "Mon, 99 Jun 99999999 12:00:00 GMT"}, 200),
        ({"If-None-Match": 'W/"1"'}, 304),
        ({"If-None-Match": '"x", W/"1"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": 'W/"2"', "If-Modified-Since": "Mon, 03 Jun 2030 12:00:00 GMT"}, 200),
    ],
)
async def test_a_phone_that_has_the_version_is_answered_304(client, card, condition, status):
    answer = await client.get(card.path, headers=card.authorized | condition)

    assert answer.status_code == status
    assert answer.headers["last-modified"] == format_datetime(NOON, usegmt=True)
    assert bool(answer.content) is (status == 200)


async def test_304_needs_the_token_too(client, card):
    condition = {"If-Modified-Since": format_datetime(NOON, usegmt=True)}

    assert (await client.get(card.path, headers=condition)).status_code == 401


async def test_a_304_is_traced_once_for_a_flood(client, card):
    condition = {"If-Modified-Since": format_datetime(NOON, usegmt=True)}
    for _ in range(30):
        await client.get(card.path, headers=card.authorized | condition)

    assert await card.story() == [trace.ISSUED, trace.NOT_MODIFIED]


async def test_a_voided_pass_is_still_served_so_that_it_turns_grey(app, client, card):
    async with app.state.services.sessions.begin() as session:
        await set_state(session, card.program_id, card.pass_id, "voided", reason="test", now=NOON)

    answer = await client.get(card.path, headers=card.authorized)

    assert answer.status_code == 200
    assert b'"voided":true' in answer.content.replace(b" ", b"")


async def test_without_a_certificate_the_service_says_what_to_set(app_settings, client):
    bare = app_settings.model_copy(update={"apple_certificate_path": None})
    app = create_app(bare)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as bare_client:
            answer = await bare_client.get(f"/apple/v1/passes/{PASS_TYPE}/any")

    assert (answer.status_code, answer.json()["code"]) == (503, "apple_not_configured")
    assert "PASSBELL_APPLE_CERTIFICATE_PATH" in answer.json()["detail"]


# The log


async def logged(app):
    async with app.state.services.sessions() as session:
        return list(await session.scalars(select(DeviceLog.line).order_by(DeviceLog.id)))


async def test_what_a_phone_complains_about_is_kept(app, client):
    line = "[2030-06-03] Get pass task (...) encountered error: Unexpected response code 500"

    answer = await client.post("/apple/v1/log", json={"logs": [line]})

    assert answer.status_code == 200
    assert await logged(app) == [line]


async def test_a_hostile_line_stays_one_harmless_line(app, client):
    line = 'a\r\n{"level":"error"}\x1b[2J\x00\u202e\u2028<script>'

    await client.post("/apple/v1/log", json={"logs": [line]})

    assert await logged(app) == ['a\\u000d\\u000a{"level":"error"}\\u001b[2J\\u0000\\u202e\\u2028<script>']


async def test_ten_lines_of_a_kilobyte_are_kept_of_one_call(app, client):
    await client.post("/apple/v1/log", json={"logs": ["\n" * 1500] * 20})

    assert [len(line) for line in await logged(app)] == [1024] * 10


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"logs": "text"}', 400),
        (b"{}", 400),
        (b"not json", 400),
        (b'{"logs": ["' + b"x" * 100_000 + b'"]}', 413),
    ],
)
async def test_a_log_that_is_not_one_is_refused(app, client, body, status):
    answer = await client.post("/apple/v1/log", content=body)

    assert answer.status_code == status
    assert await logged(app) == []


async def test_more_than_sixty_calls_a_minute_are_refused(app, client, clock):
    statuses = [
        (await client.post("/apple/v1/log", json={"logs": [str(number)]})).status_code for number in range(61)
    ]
    clock.tick(61)

    assert statuses == [200] * 60 + [429]
    assert len(await logged(app)) == 60
    assert (await client.post("/apple/v1/log", json={"logs": ["later"]})).status_code == 200


async def test_the_neighbours_of_an_address_share_its_limit(app):
    statuses = []
    for number in range(61):
        transport = httpx2.ASGITransport(app, client=(f"2001:db8::{number:x}", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as neighbour:
            statuses.append((await neighbour.post("/apple/v1/log", json={"logs": ["x"]})).status_code)

    assert statuses == [200] * 60 + [429]


async def test_personalisation_is_not_offered(client, card):
    answer = await client.post(card.path + "/personalize", json={})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
