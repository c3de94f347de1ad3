"""Passes and messages through the API: issuing, taking out of use, links, the story."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from app.db import Sessions
from app.members.models import Message
from app.passes import trace
from app.passes.issue import by_link, issue
from app.passes.models import Pass, Registration
from tests.make import NOON, make_member


@pytest.fixture
async def member(client: httpx2.AsyncClient) -> dict[str, Any]:
    return (await client.post("/members", json={"name": "Anna", "phone": "+79123456789"})).json()


@pytest.fixture
def issued(member: dict[str, Any]) -> str:
    return member["passes"][0]


async def test_a_second_pass_is_issued_from_a_named_template(
    client: httpx2.AsyncClient, member: dict[str, Any]
) -> None:
    answer = await client.post("/passes", json={"member_id": member["id"], "template": "coffee"})

    assert (answer.status_code, answer.json()["version"]) == (201, 1)
    assert len((await client.get("/passes", params={"member_id": member["id"]})).json()["data"]) == 2


async def test_an_unknown_template_is_refused_by_name(
    client: httpx2.AsyncClient, member: dict[str, Any]
) -> None:
    answer = await client.post("/passes", json={"member_id": member["id"], "template": "tea"})

    found = answer.json()
    assert (answer.status_code, found["code"]) == (422, "unknown_template")
    assert found["errors"][0]["pointer"] == "/body/template"
    assert "coffee" in found["detail"]


async def test_a_voided_pass_is_restored_and_each_change_shows_once(
    client: httpx2.AsyncClient, issued: str
) -> None:
    voided = [await client.post(f"/passes/{issued}/void", json={"reason": "lost"}) for _ in range(2)]
    restored = await client.post(f"/passes/{issued}/restore")

    assert [(answer.json()["state"], answer.json()["version"]) for answer in voided] == [("voided", 2)] * 2
    assert (restored.json()["state"], restored.json()["version"]) == ("active", 3)


async def test_a_coupon_ends_when_it_was_said_and_so_does_its_replacement(client, member):
    wanted = {"member_id": member["id"], "template": "coffee"}
    ends = "2030-12-31T20:59:59.000Z"

    issued = (await client.post("/passes", json=wanted | {"expires_at": ends})).json()
    again = (await client.post(f"/passes/{issued['id']}/reissue", json={})).json()
    past = await client.post("/passes", json=wanted | {"expires_at": "2020-01-01T00:00:00Z"})

    assert (issued["expires_at"], again["expires_at"]) == (ends, ends)
    assert past.status_code == 422
    assert past.json()["errors"][0]["pointer"] == "/body/expires_at"


async def test_a_reissued_pass_has_new_secrets_and_the_old_links_are_dead(
    client: httpx2.AsyncClient, sessions: Sessions, issued: str
) -> None:
    link = (await client.post(f"/passes/{issued}/link")).json()["url"]
    old = (await client.get(f"/passes/{issued}")).json()

    new = (await client.post(f"/passes/{issued}/reissue", json={"reason": "phone lost"})).json()

    assert new["serial_number"] != old["serial_number"]
    assert (await client.get(f"/passes/{issued}")).json()["state"] == "voided"
    async with sessions() as session:
        with pytest.raises(Exception, match="does not lead to a card"):
            await by_link(session, link.rpartition("/")[2], now=NOON)


async def test_a_link_is_sent_once_by_sms_and_leads_to_the_pass(
    client: httpx2.AsyncClient, sessions: Sessions, issued: str
) -> None:
    send = {"json": {"send": True}, "headers": {"Idempotency-Key": "k1"}}

    links = [(await client.post(f"/passes/{issued}/link", **send)).json() for _ in range(2)]

    assert links[0] == links[1]
    assert (links[0]["message"]["recipient"], links[0]["message"]["state"]) == ("+79123456789", "queued")
    async with sessions() as session:
        found, _ = await by_link(session, links[0]["url"].rpartition("/")[2], now=NOON)
        texts = (await session.scalars(select(Message.text))).all()
    assert found.id == issued
    assert len(texts) == 1
    assert links[0]["url"] in texts[0]


async def test_a_link_cannot_be_sent_to_nobody(client: httpx2.AsyncClient) -> None:
    member = (await client.post("/members", json={"name": "Anna"})).json()

    answer = await client.post(f"/passes/{member['passes'][0]}/link", json={"send": True})

    assert (answer.status_code, answer.json()["code"]) == (409, "no_phone")


async def test_a_failed_message_is_sent_again_and_one_on_its_way_is_not(
    client: httpx2.AsyncClient, sessions: Sessions, issued: str
) -> None:
    sent = (await client.post(f"/passes/{issued}/link", json={"send": True})).json()["message"]["id"]

    async def resend(state: str, **body: bool) -> tuple[int, str]:
        async with sessions.begin() as session:
            (await session.get_one(Message, sent)).state = state
        answer = await client.post(f"/messages/{sent}/resend", json=body)
        return answer.status_code, answer.json().get("code") or answer.json()["state"]

    assert await resend("sent") == (409, "not_resendable")
    assert await resend("unknown") == (409, "may_arrive_twice")
    assert await resend("unknown", may_arrive_twice=True) == (202, "queued")
    assert await resend("failed") == (202, "queued")
    assert [each["id"] for each in (await client.get("/messages")).json()["data"]] == [sent]


async def test_the_story_of_a_pass_says_why_the_phone_is_silent(
    client: httpx2.AsyncClient, issued: str
) -> None:
    await client.post(f"/passes/{issued}/void", json={"reason": "lost"})

    story = (await client.get(f"/passes/{issued}/trace")).json()

    assert [event["kind"] for event in story["events"]] == ["issued", "voided", "changed"]
    assert [finding["code"] for finding in story["diagnosis"]] == ["voided", "never_installed"]


async def test_the_devices_of_a_pass_are_listed_without_their_secrets(
    client: httpx2.AsyncClient, sessions: Sessions, issued: str
) -> None:
    async with sessions.begin() as session:
        held = await session.get_one(Pass, issued)
        session.add(
            Registration(
                device_library_identifier="3f9a1c20" * 4,
                pass_id=issued,
                program_id=held.program_id,
                push_service="apns",
                push_token="beef" * 16,
                pushed_version=1,
                registered_at=NOON,
                seen_at=NOON,
            )
        )

    answer = await client.get(f"/passes/{issued}/devices")

    assert [each["device"] for each in answer.json()["data"]] == ["3f9a1c20"]
    assert "beef" not in answer.text


async def test_another_programmes_things_are_unknown(client: httpx2.AsyncClient, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        other = await make_member(session)
        held = await issue(session, other, template="coffee", now=NOON)
        await trace.record(session, held.program_id, [held.id], trace.LINK_OPENED, now=NOON)

    for path in (
        f"/members/{other.id}",
        f"/passes/{held.id}",
        f"/passes/{held.id}/trace",
        f"/passes/{held.id}/devices",
    ):
        assert (await client.get(path)).status_code == 404, path
    for path in (f"/members/{other.id}/block", f"/passes/{held.id}/void", f"/passes/{held.id}/link"):
        assert (await client.post(path)).status_code == 404, path
    assert (await client.post("/passes", json={"member_id": other.id})).status_code == 404
    assert (await client.patch(f"/members/{other.id}", json={"name": "Mine"})).status_code == 404


@pytest.mark.parametrize("database", ["sqlite"])
async def test_templates_show_their_fields_languages_and_faults(client: httpx2.AsyncClient) -> None:
    names = [each["name"] for each in (await client.get("/templates")).json()["data"]]
    coffee = (await client.get("/templates/coffee")).json()

    assert "coffee" in names
    assert "balance" in {field["key"] for field in coffee["fields"]}
    assert set(coffee["languages"]) == {"en", "ru"}
    assert [fault for fault in coffee["problems"] if fault["level"] == "error"] == []
    assert (await client.get("/templates/tea")).json()["code"] == "unknown_template"
