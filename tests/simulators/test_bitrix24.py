"""The simulated Bitrix24 portal is as strict as the real one, and loses as much."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulators.bitrix24 import Limits, Plan, Portal, running
from app.simulators.serving import serve
from tests.conftest import ManualClock


@pytest.fixture
def portal(clock: ManualClock) -> Portal:
    return Portal(clock=clock)


@pytest.fixture
async def rest(portal: Portal) -> AsyncIterator[httpx2.AsyncClient]:
    async with running(portal) as url, httpx2.AsyncClient(base_url=url) as client:
        yield client


class Receiver:
    """A handler's address that remembers what was posted to it."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.app = Starlette(routes=[Route("/{rest:path}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        self.forms.append({name: str(value) for name, value in (await request.form()).items()})
        return Response("ok")


def hook(portal: Portal, method: str) -> str:
    return f"/rest/{portal.webhook_user}/{portal.webhook_secret}/{method}.json"


async def call(rest: httpx2.AsyncClient, portal: Portal, method: str, **params: object) -> httpx2.Response:
    return await rest.post(hook(portal, method), json=params)


async def as_app(rest: httpx2.AsyncClient, token: str, method: str, **params: object) -> httpx2.Response:
    return await rest.post(f"/rest/{method}", json=params | {"auth": token})


async def test_a_deal_is_read_in_both_forms(portal, rest):
    deal = portal.add_deal("1000000", portal.add_contact("Анна", "8 (912) 345-67-89"))
    portal.win(deal)

    new = (await call(rest, portal, "crm.item.get", entityTypeId=2, id=deal.id)).json()
    old = (await call(rest, portal, "crm.deal.get", id=deal.id)).json()["result"]

    item = new["result"]["item"]
    assert (item["opportunity"], item["stageSemanticId"], item["contactId"]) == (1_000_000, "S", 1)
    assert (old["OPPORTUNITY"], old["STAGE_SEMANTIC_ID"], old["CLOSED"]) == ("1000000.00", "S", "Y")
    assert set(new["time"]) >= {"operating", "operating_reset_at"}


async def test_a_batch_uses_earlier_results_and_tells_errors_apart(portal, rest):
    deal = portal.add_deal(100, portal.add_contact("Анна", "+79123456789"))
    commands = {
        "deal": f"crm.item.get?entityTypeId=2&id={deal.id}",
        "contact": "crm.item.get?entityTypeId=3&id=$result[deal][item][contactId]",
        "gone": "crm.item.get?entityTypeId=2&id=99",
    }

    answer = (await call(rest, portal, "batch", halt=0, cmd=commands)).json()["result"]

    assert answer["result"]["contact"]["item"]["fm"][0]["value"] == "+79123456789"
    assert answer["result_error"]["gone"]["error"] == "NOT_FOUND"


async def test_lists_come_in_pages_and_by_filter(portal, rest):
    for amount in range(60):
        portal.add_deal(amount)

    first = (await call(rest, portal, "crm.item.list", entityTypeId=2)).json()
    rest_of = (await call(rest, portal, "crm.item.list", entityTypeId=2, filter={">id": 50})).json()

    assert (len(first["result"]["items"]), first["total"], first["next"]) == (50, 60, 50)
    assert [each["id"] for each in rest_of["result"]["items"]] == list(range(51, 61))
    assert "next" not in rest_of


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/rest/1/wrong/crm.item.get", 401, "INVALID_CREDENTIALS"),
        ("/rest/crm.item.get", 401, "NO_AUTH_FOUND"),
        ("hook:no.such.method", 404, "ERROR_METHOD_NOT_FOUND"),
        ("hook:placement.bind", 403, "ACCESS_DENIED"),
        ("hook:bizproc.robot.add", 403, "ACCESS_DENIED"),
        ("hook:crm.item.get", 400, "100"),
    ],
)
async def test_what_is_wrong_is_refused_as_the_real_one_does(portal, rest, path, status, code):
    path = hook(portal, path.removeprefix("hook:")) if path.startswith("hook:") else path

    answer = await rest.post(path, json={"entityTypeId": 2})

    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_the_bucket_overflows_and_drains_two_a_second(portal, rest, clock):
    statuses = [(await call(rest, portal, "crm.item.list", entityTypeId=2)).status_code for _ in range(51)]
    clock.tick(1)
    later = [(await call(rest, portal, "crm.item.list", entityTypeId=2)).status_code for _ in range(3)]

    assert statuses == [200] * 50 + [503]
    assert later == [200, 200, 503]


async def test_a_method_that_worked_too_long_rests_while_others_go_on(clock):
    portal = Portal(clock=clock, limits=Limits(operating_seconds=1, seconds_per_call=0.5))
    portal.add_deal(1)
    async with running(portal) as url, httpx2.AsyncClient(base_url=url) as rest:
        listed = [await call(rest, portal, "crm.item.list", entityTypeId=2) for _ in range(3)]
        other = await call(rest, portal, "crm.item.get", entityTypeId=2, id=1)
        clock.tick(601)
        again = await call(rest, portal, "crm.item.list", entityTypeId=2)

    assert [each.status_code for each in listed] == [200, 200, 429]
    assert listed[2].json()["error"] == "OPERATION_TIME_LIMIT"
    assert (other.status_code, again.status_code) == (200, 200)


async def test_tokens_end_after_an_hour_and_a_refresh_token_works_once(portal, rest, clock):
    access, refresh = portal.grant()
    given = {
        "grant_type": "refresh_token",
        "client_id": portal.app.client_id,
        "client_secret": portal.app.client_secret,
        "refresh_token": refresh,
    }

    before = await as_app(rest, access, "crm.item.list", entityTypeId=2)
    clock.tick(3600)
    after = await as_app(rest, access, "crm.item.list", entityTypeId=2)
    renewed = (await rest.get("/oauth/token/", params=given)).json()
    again = await rest.get("/oauth/token/", params=given)
    with_new = await as_app(rest, renewed["access_token"], "crm.item.list", entityTypeId=2)

    assert before.status_code == with_new.status_code == 200
    assert (after.status_code, after.json()["error"]) == (401, "expired_token")
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


async def test_a_notice_with_a_tag_takes_the_older_ones_place(portal, rest):
    for text in ("one", "two"):
        await call(
            rest, portal, "im.notify.system.add", USER_ID=7, MESSAGE=text, TAG="deal:1", CLIENT_ID="passbell"
        )
    refused = await call(rest, portal, "im.notify.system.add", USER_ID=7, MESSAGE="x", TAG="deal:1")

    assert [each.params["MESSAGE"] for each in portal.sent] == ["two"]
    assert refused.json()["error"] == "CLIENT_ID_EMPTY"


async def test_an_event_arrives_as_php_nests_it_and_a_plan_loses_the_same_ones_each_time(clock):
    runs = []
    for _ in range(2):
        receiver = Receiver()
        portal = Portal(clock=clock, plan=Plan(seed=3, lost=0.2, doubled=0.2, shuffled=True))
        async with serve(receiver.app) as url:
            portal.subscribe("onCrmDealAdd", f"{url}/hooks/x")
            for _ in range(100):
                portal.add_deal(1)
            await portal.calls.deliver()
        runs.append(sorted(int(form["data[FIELDS][ID]"]) for form in receiver.forms))

    assert runs[0] == runs[1]
    assert 60 <= len(set(runs[0])) < 100  # some are lost
    assert len(runs[0]) > len(set(runs[0]))  # some come twice
    form = receiver.forms[0]
    assert form["event"] == "ONCRMDEALADD"
    assert form["auth[application_token]"] == portal.application_token
    assert form["ts"] == str(int(clock().timestamp()))
    assert "auth[access_token]" not in form


async def test_a_robot_of_the_application_brings_its_properties_and_fresh_tokens(portal, rest):
    receiver = Receiver()
    access, _ = portal.grant()
    async with serve(receiver.app) as url:
        await as_app(rest, access, "bizproc.robot.add", CODE="check", HANDLER=f"{url}/robot", NAME="Check")
        token = portal.run_robot("check", "DEAL_7", {"percent": "50"})
        await portal.calls.deliver()
    form = receiver.forms[0]
    answered = await as_app(
        rest,
        form["auth[access_token]"],
        "bizproc.event.send",
        EVENT_TOKEN=form["event_token"],
        RETURN_VALUES={"balance": 5},
    )

    assert (form["document_id[2]"], form["properties[percent]"], form["event_token"]) == (
        "DEAL_7",
        "50",
        token,
    )
    assert answered.status_code == 200
    assert portal.sent[0].params["RETURN_VALUES"] == {"balance": 5}


def test_now_is_written_with_the_portals_zone(portal, clock):
    clock.now = datetime(2030, 1, 1, 0, 0, tzinfo=UTC)

    assert portal.now_text() == "2030-01-01T03:00:00+03:00"
