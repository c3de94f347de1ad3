"""Members through the API: adding, finding, changing and blocking people."""

from typing import Any

import httpx2
import pytest

from app.db import Sessions
from app.members.models import Program
from tests.make import make_member

ANNA = {"name": "Анна Петрова", "phone": "8 (912) 345-67-89"}


async def add(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/members", json=ANNA | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_person_joins_with_an_account_and_a_pass(client: httpx2.AsyncClient) -> None:
    member = await add(
        client,
        birthday="2012-05-31",
        answers={"favourite": "raf", "cups": 3, "milk": ["oat", "soy"]},
        external_ids=[{"source": "bitrix24:school.ru", "id": "contact:4711"}],
        opening_points=150,
    )

    account = (await client.get(f"/accounts/{member['account_id']}")).json()
    issued = (await client.get(f"/passes/{member['passes'][0]}")).json()
    assert (member["phone"], member["birthday"], member["state"]) == ("+79123456789", "2012-05-31", "active")
    assert member["answers"] == {"favourite": "raf", "cups": 3, "milk": ["oat", "soy"]}
    assert (account["balance"], account["members"]) == (150, [member["id"]])
    assert (issued["member_id"], issued["state"], issued["template"]) == (member["id"], "active", "coffee")


async def test_a_mother_and_her_child_on_one_phone_share_an_account(client: httpx2.AsyncClient) -> None:
    mother = await add(client)
    child = await add(client, name="Петя", phone="+7 912 345 67 89")

    assert child["account_id"] == mother["account_id"]
    assert child["card_number"] != mother["card_number"]


async def test_a_member_is_found_by_phone_card_number_and_external_id(client: httpx2.AsyncClient) -> None:
    member = await add(client, external_ids=[{"source": "bitrix24:school.ru", "id": "contact:4711"}])
    await add(client, name="Other", phone="+79990000000")

    for query in (
        {"phone": "89123456789"},
        {"card_number": member["card_number"]},
        {"external_id": "bitrix24:school.ru:contact:4711"},
        {"account_id": member["account_id"]},
    ):
        found = (await client.get("/members", params=query)).json()["data"]
        assert [each["id"] for each in found] == [member["id"]], query
    by_external_id = await client.get("/members/ext:bitrix24:school.ru:contact:4711")
    assert by_external_id.json() == member


async def test_an_external_id_that_reads_two_ways_is_not_guessed(client: httpx2.AsyncClient) -> None:
    await add(client, external_ids=[{"source": "a", "id": "b:c"}])
    await add(client, name="Other", phone=None, external_ids=[{"source": "a:b", "id": "c"}])

    answer = await client.get("/members/ext:a:b:c")

    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_external_id")


async def test_a_change_is_merged_and_shows_on_the_pass(client: httpx2.AsyncClient) -> None:
    member = await add(client, email="anna@example.com", answers={"favourite": "raf", "cups": 3})

    changed = (
        await client.patch(
            f"/members/{member['id']}",
            json={"name": "Анна Смирнова", "email": None, "answers": {"cups": None, "milk": "oat"}},
        )
    ).json()

    issued = (await client.get(f"/passes/{member['passes'][0]}")).json()
    assert (changed["name"], changed["email"]) == ("Анна Смирнова", None)
    assert changed["answers"] == {"favourite": "raf", "milk": "oat"}
    assert changed["phone"] == member["phone"]
    assert issued["version"] == 2


async def test_a_change_to_what_is_already_so_leaves_the_pass_alone(client: httpx2.AsyncClient) -> None:
    member = await add(client)

    await client.patch(f"/members/{member['id']}", json={"name": ANNA["name"]})

    assert (await client.get(f"/passes/{member['passes'][0]}")).json()["version"] == 1


async def test_a_new_phone_of_one_alone_is_the_accounts_and_of_one_among_several_is_not(
    client: httpx2.AsyncClient,
) -> None:
    mother = await add(client)
    path = f"/accounts/{mother['account_id']}"

    await client.patch(f"/members/{mother['id']}", json={"phone": "+79990000001"})
    assert (await client.get(path)).json()["phone"] == "+79990000001"

    await add(client, name="Петя", phone="+79990000001")
    await client.patch(f"/members/{mother['id']}", json={"phone": "+79990000002"})
    assert (await client.get(path)).json()["phone"] == "+79990000001"


async def test_a_phone_of_another_account_is_refused(client: httpx2.AsyncClient) -> None:
    await add(client)
    other = await add(client, name="Other", phone="+79990000001")

    answer = await client.patch(f"/members/{other['id']}", json={"phone": ANNA["phone"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "phone_taken")


async def test_a_blocked_member_earns_nothing_until_let_back(client: httpx2.AsyncClient) -> None:
    member = await add(client)
    earn = f"/accounts/{member['account_id']}/transactions"

    blocked = [(await client.post(f"/members/{member['id']}/block")).json()["state"] for _ in range(2)]
    refused = await client.post(earn, json={"kind": "earn", "points": 1})
    version = (await client.get(f"/passes/{member['passes'][0]}")).json()["version"]
    back = (await client.post(f"/members/{member['id']}/unblock")).json()["state"]
    earned = await client.post(earn, json={"kind": "earn", "points": 1})

    assert (blocked, back) == (["blocked", "blocked"], "active")
    assert version == 2
    assert (refused.status_code, earned.status_code) == (423, 201)


async def test_a_repeated_enrolment_adds_one_member(client: httpx2.AsyncClient) -> None:
    answers = [await client.post("/members", json=ANNA, headers={"Idempotency-Key": "k1"}) for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert len((await client.get("/members")).json()["data"]) == 1


async def test_opening_points_come_once_to_an_account(client: httpx2.AsyncClient) -> None:
    await add(client, opening_points=100)
    again = await client.post("/members", json=ANNA | {"name": "Петя", "opening_points": 200})

    assert (again.status_code, again.json()["code"]) == (409, "source_event_reused")
    assert len((await client.get("/members")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"phone": "123"}, 422, "invalid_phone"),
        ({"phone": "call me"}, 422, "invalid_phone"),
        ({"card_number": "4000"}, 409, "card_number_taken"),
        ({"external_ids": [{"source": "crm", "id": "1"}]}, 409, "external_id_taken"),
        ({"name": " "}, 422, "invalid_field"),
        ({"birthday": 946684800}, 422, "invalid_field"),
        ({"answers": {"Big Key": "x"}}, 422, "invalid_field"),
        ({"answers": {"deep": {"a": {}}}}, 422, "invalid_field"),
        ({"opening_points": 0}, 422, "invalid_field"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
async def test_what_is_refused_adds_nobody(
    client: httpx2.AsyncClient, fields: dict[str, Any], status: int, code: str
) -> None:
    await add(client, card_number="4000", external_ids=[{"source": "crm", "id": "1"}])

    answer = await client.post("/members", json={"name": "Other", "phone": "+79990000001"} | fields)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len((await client.get("/members")).json()["data"]) == 1


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_list_of_members_comes_in_pages_and_each_of_them_once(
    client: httpx2.AsyncClient, sessions: Sessions, program: Program
) -> None:
    added = [(await add(client, phone=None, issue_pass=False))["id"] for _ in range(5)]
    async with sessions.begin() as session:
        await make_member(session)  # another programme's

    seen: list[str] = []
    cursor: str | None = None
    while cursor or not seen:
        page = (
            await client.get("/members", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [member["id"] for member in page["data"]]
        cursor = page["next_cursor"]
        assert (page["object"], page["has_more"]) == ("list", cursor is not None)

    assert sorted(seen) == sorted(added)
    assert len(set(seen)) == 5
