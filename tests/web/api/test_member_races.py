"""Several requests about people at the same moment: nothing is overwritten, and the loser is told why."""

import asyncio
from collections import Counter
from typing import Any

import httpx2

ANNA = {"name": "Анна Петрова", "phone": "+79123456789"}
AT_ONCE = 8


async def add(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/members", json=ANNA | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_answers_sent_at_once_are_all_kept(client: httpx2.AsyncClient) -> None:
    path = f"/members/{(await add(client))['id']}"

    changed = await asyncio.gather(
        *(client.patch(path, json={"answers": {f"question_{number}": "yes"}}) for number in range(AT_ONCE))
    )

    assert {answer.status_code for answer in changed} == {200}
    kept = (await client.get(path)).json()["answers"]
    assert sorted(kept) == [f"question_{number}" for number in range(AT_ONCE)]


async def test_of_those_who_want_one_phone_at_once_one_gets_it(client: httpx2.AsyncClient) -> None:
    members = [await add(client, phone=f"+7999000000{number}") for number in range(AT_ONCE)]

    answers = await asyncio.gather(
        *(client.patch(f"/members/{member['id']}", json={"phone": ANNA["phone"]}) for member in members)
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: AT_ONCE - 1}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"phone_taken"}


async def test_of_those_who_bring_one_card_at_once_one_gets_it(client: httpx2.AsyncClient) -> None:
    people = [{"name": f"Anna {number}", "card_number": "4000"} for number in range(AT_ONCE)]

    answers = await asyncio.gather(*(client.post("/members", json=person) for person in people))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: AT_ONCE - 1}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"card_number_taken"}
