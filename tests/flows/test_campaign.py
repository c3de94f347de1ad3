"""A marketer's campaign from end to end: drafted, planned, approved, and every phone it is for rings once."""

import secrets
from typing import Any

from tests.flows.town import MOTHERS_NUMBER, Town, forget_limits, rung, shown

CHILDS_NUMBER = "+79161234568"


async def ask(town: Town, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await town.http.request(
        method,
        f"/api/v1{path}",
        json=body,
        headers={"Authorization": f"Bearer {town.key}", "Idempotency-Key": secrets.token_hex(12)},
    )
    assert answer.status_code < 300, answer.text
    return answer.json()


async def planned(town: Town, definition: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A campaign with its plan made by the worker: its id and the plan."""
    made = await ask(town, "POST", "/campaigns", {"name": "Chess day", "definition": definition})
    path = f"/campaigns/{made['id']}"
    await ask(town, "POST", f"{path}/plan")
    await until(town, made["id"], "planned")
    return made["id"], await ask(town, "GET", f"{path}/plan")


async def until(town: Town, campaign_id: str, state: str) -> dict[str, Any]:
    """The campaign, once its progress says this."""
    url = f"/api/v1/campaigns/{campaign_id}/progress"
    headers = {"Authorization": f"Bearer {town.key}"}
    async with town.http.stream("GET", url, headers=headers) as stream:
        async for _ in stream.aiter_lines():
            pass  # it ends when the campaign rests
    campaign = await ask(town, "GET", f"/campaigns/{campaign_id}")
    assert campaign["state"] == state, campaign["reason"]
    return campaign


async def enrolled(town: Town, name: str, number: str):
    """A member with the card on a phone."""
    async with town.world.sms.inbox(number) as inbox:
        await town.enrol(name=name, phone=number, consent_marketing="2026-11-01")
        phone = await town.phone()
        await phone.add(f"{await town.link(inbox)}/card.pkpass")
    await forget_limits(town)
    return phone


async def test_a_campaign_is_planned_approved_and_rings_both_phones_once(town: Town):
    anna = await enrolled(town, "Анна Петрова", MOTHERS_NUMBER)
    boris = await enrolled(town, "Борис Петров", CHILDS_NUMBER)
    made = await ask(
        town,
        "POST",
        "/segments",
        {"name": "On a phone", "condition": {"field": "installed", "op": "is", "value": True}},
    )

    campaign_id, plan = await planned(
        town,
        {
            "segment_id": made["id"],
            "texts": {"ru": "{{ member_name }}, вам {{ bonus }} баллов за День шахмат", "en": "Chess day"},
            "points": 200,
        },
    )
    assert (plan["recipients"], plan["totals"]["points"]) == (2, 400)
    assert plan["totals"]["by_wallet"] == {"apple": 2}
    before = (await ask(town, "GET", f"/campaigns/{campaign_id}/recipients"))["data"]
    assert {(each["message_after"], each["points_before"], each["points_after"]) for each in before} == {
        ("Анна Петрова, вам 200 баллов за День шахмат", 50, 250),
        ("Борис Петров, вам 200 баллов за День шахмат", 50, 250),
    }
    assert rung(anna) == rung(boris) == []

    await ask(town, "POST", f"/campaigns/{campaign_id}/approve", {"plan_hash": plan["hash"]})
    for phone in (anna, boris):
        await phone.wait_for(lambda each: shown(each, "balance") == "250")
    done = await until(town, campaign_id, "done")

    assert (done["done"], done["skipped"]) == (2, 0)
    for phone in (anna, boris):
        # One new version carries points and news; iOS rings once, for the field that stands first.
        assert rung(phone) == ["На вашем счёте баллов: 250"]
    assert shown(anna, "news") == "Анна Петрова, вам 200 баллов за День шахмат"


async def test_without_points_the_lock_screen_shows_the_text_and_a_repeat_is_refused(town: Town):
    anna = await enrolled(town, "Анна Петрова", MOTHERS_NUMBER)
    definition = {
        "condition": {"field": "name", "op": "is", "value": "Анна Петрова"},
        "texts": {"ru": "Завтра турнир"},
    }
    campaign_id, plan = await planned(town, definition)

    await ask(town, "POST", f"/campaigns/{campaign_id}/approve", {"plan_hash": plan["hash"]})
    await anna.wait_for(lambda each: shown(each, "news") == "Завтра турнир")
    await until(town, campaign_id, "done")
    again = await ask(town, "POST", "/campaigns", {"name": "Again", "definition": definition})
    await ask(town, "POST", f"/campaigns/{again['id']}/plan")
    refused = await until(town, again["id"], "draft")

    assert rung(anna) == ["Завтра турнир"]
    assert refused["reason"] == "nobody of 1 would be told anything (same_text: 1)"
