"""Segments as a client of the API sees them."""

import pytest

from app.campaigns.fields import OF_EVERY_PROGRAM
from app.members import people
from app.points import ledger
from app.wiring import TEXTS, load_texts
from tests.make import NOON, make_account, make_member

RICH = {"field": "points", "op": "at_least", "value": 100}


@pytest.fixture
async def members(sessions, program):
    """Twelve members; two of them are rich."""
    async with sessions.begin() as session:
        found = [
            await make_member(session, await make_account(session, program), name=f"Anna {number}")
            for number in range(12)
        ]
        await people.add_external_ids(session, found[2], [("crm", "contact:7")])
        for member in found[:2]:
            await ledger.open_balance(
                session,
                member.account_id,
                100,
                reason="",
                source="test",
                source_event=member.id,
                now=NOON,
            )
    return found


async def test_a_condition_is_counted_with_a_sample_before_anything_is_kept(client, members):
    everybody = (await client.post("/segments/count", json={"condition": {"all": []}})).json()
    rich = (await client.post("/segments/count", json={"condition": RICH})).json()

    assert everybody["count"] == 12
    assert len({each["id"] for each in everybody["sample"]}) == 10
    assert rich["count"] == 2
    assert {each["id"] for each in rich["sample"]} == {member.id for member in members[:2]}
    assert (await client.get("/segments")).json()["data"] == []


async def test_a_rule_follows_its_members_and_a_frozen_list_stays(client, sessions, members):
    rule = (await client.post("/segments", json={"name": "Rich", "condition": RICH})).json()
    frozen = (await client.post(f"/segments/{rule['id']}/freeze", json={"name": "Rich on Monday"})).json()
    async with sessions.begin() as session:
        await ledger.open_balance(
            session,
            members[5].account_id,
            500,
            reason="",
            source="test",
            source_event="late",
            now=NOON,
        )

    counts = [(await client.get(f"/segments/{each['id']}/count")).json()["count"] for each in (rule, frozen)]

    assert frozen["members"] == 2
    assert counts == [3, 2]


async def test_a_csv_names_members_by_card_phone_id_or_external_id_and_tells_whom_it_does_not_know(
    client, members
):
    names = [
        members[0].card_number,
        members[1].phone.replace("+7", "8 "),
        "ext:crm:contact:7",
        members[0].id,
        "nobody",
    ]
    made = (
        await client.post(
            "/segments/lists", json={"name": "Guests", "csv": "phone;x\n" + ";1\n".join(names) + ";"}
        )
    ).json()

    assert (made["members"], made["unknown"], made["unknown_count"]) == (3, [5], 1)
    assert (await client.get(f"/segments/{made['id']}/count")).json()["count"] == 3


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (
            "/segments",
            {"name": "x", "condition": {"field": "shoes", "op": "is", "value": 1}},
            422,
            "invalid_condition",
        ),
        ("/segments", {"name": "Taken", "condition": {"all": []}}, 409, "segment_name_taken"),
        ("/segments/count", {"condition": {"any": [{}]}}, 422, "invalid_condition"),
        ("/segments/lists", {"name": "x", "csv": "phone\n"}, 422, "invalid_csv"),
        ("/segments/seg_unknown/freeze", {"name": "x"}, 404, "unknown_segment"),
    ],
)
async def test_what_cannot_be_a_segment_is_refused_with_the_place_and_nothing_is_kept(
    client, path, body, status, code
):
    await client.post("/segments", json={"name": "Taken", "condition": {"all": []}})

    refused = await client.post(path, json=body)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert [each["name"] for each in (await client.get("/segments")).json()["data"]] == ["Taken"]


async def test_a_refused_condition_names_its_place_and_the_fields_there_are(client):
    tree = {"all": [{"field": "shoes", "op": "is", "value": 1}]}

    refused = (await client.post("/segments/count", json={"condition": tree})).json()

    assert refused["detail"].startswith("/all/0/field: there is no such field; use one of age, ")


async def test_fields_come_with_types_operators_and_labels_in_the_language_asked_for(client):
    fields = {each["name"]: each for each in (await client.get("/segments/fields?lang=ru")).json()["data"]}

    assert fields["points"] == {
        "name": "points",
        "label": "Баллы",
        "type": "number",
        "operators": {
            "is": "number",
            "at_least": "number",
            "at_most": "number",
            "above": "number",
            "below": "number",
            "known": "yes_no",
        },
        "options": [],
    }


def test_every_field_has_a_label_in_every_language():
    texts = load_texts(TEXTS)

    for field in OF_EVERY_PROGRAM:
        assert texts.get("en", f"fields.{field.name}") != texts.get("ru", f"fields.{field.name}")


async def test_a_segment_is_renamed_changed_and_deleted(client, members):
    made = (await client.post("/segments", json={"name": "All", "condition": {"all": []}})).json()

    changed = await client.patch(f"/segments/{made['id']}", json={"name": "Rich", "condition": RICH})
    assert (changed.json()["name"], changed.json()["condition"]) == ("Rich", RICH)
    assert (await client.delete(f"/segments/{made['id']}")).status_code == 200
    assert (await client.get(f"/segments/{made['id']}")).status_code == 404
