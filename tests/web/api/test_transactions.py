"""Moving points through the API: what is answered, what is refused, and that it happens once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import func, select

from app.db import Sessions
from app.members.models import Account, Member, Program
from app.passes.issue import issue
from app.points.models import Entry
from tests.make import NOON, make_account, make_member, make_tier

Post = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
async def account(sessions: Sessions, program: Program) -> Account:
    async with sessions.begin() as session:
        await make_tier(session, program, threshold=0, rate_basis_points=500)
        member = await make_member(session, await make_account(session, program))
        await issue(session, member, template="coffee", now=NOON)
        return await session.get_one(Account, member.account_id)


@pytest.fixture
def post(client: httpx2.AsyncClient, account: Account) -> Post:
    async def post(movement: Any, key: str | None = None, **headers: str) -> httpx2.Response:
        return await client.post(
            f"/accounts/{account.id}/transactions",
            json=movement,
            headers={"Idempotency-Key": key or str(uuid4())} | headers,
        )

    return post


async def balance(client: httpx2.AsyncClient, account: Account) -> int:
    return (await client.get(f"/accounts/{account.id}")).json()["balance"]


async def test_points_are_earned_spent_corrected_and_taken_back(
    post: Post, client: httpx2.AsyncClient, account: Account
) -> None:
    answers = [
        await post({"kind": "earn", "points": 100, "reason": "Order 1"}),
        await post({"kind": "redeem", "points": 30}),
        await post({"kind": "adjust", "points": -5}),
        await post({"kind": "earn", "amount": "199.90", "source": "till", "source_event": "order:2"}),
    ]
    first = answers[0].json()["entry"]
    answers.append(await post({"kind": "reverse", "reverses": answers[1].json()["entry"]["id"]}))

    assert [answer.status_code for answer in answers] == [201] * 5
    assert [answer.json()["balance"] for answer in answers] == [100, 70, 65, 74, 104]
    assert (first["kind"], first["points"], first["sequence"], first["reason"]) == ("earn", 100, 1, "Order 1")
    assert answers[3].json()["entry"]["amount"] == "199.90"
    assert await balance(client, account) == 104


async def test_a_repeat_gets_the_first_answer_byte_for_byte_and_moves_nothing(
    post: Post, client: httpx2.AsyncClient, account: Account
) -> None:
    first = await post({"kind": "earn", "points": 10}, key="k1")
    await post({"kind": "earn", "points": 5}, key="k2")
    again = await post({"kind": "earn", "points": 10}, key="k1")

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert await balance(client, account) == 15


async def test_a_refusal_is_an_answer_too_and_stays_the_answer(post: Post) -> None:
    first = await post({"kind": "redeem", "points": 10}, key="k1")
    await post({"kind": "earn", "points": 100}, key="k2")
    again = await post({"kind": "redeem", "points": 10}, key="k1")

    assert (first.status_code, first.json()["code"]) == (409, "not_enough_points")
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["content-type"] == "application/problem+json"


async def test_a_key_used_for_another_request_is_refused_and_moves_nothing(
    post: Post, client: httpx2.AsyncClient, account: Account
) -> None:
    await post({"kind": "earn", "points": 10}, key="k1")
    other = await post({"kind": "earn", "points": 11}, key="k1")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await balance(client, account) == 10


async def test_of_repeats_sent_at_once_one_moves_points_and_the_others_wait_or_repeat(
    post: Post, client: httpx2.AsyncClient, account: Account
) -> None:
    answers = await asyncio.gather(*(post({"kind": "earn", "points": 10}, key="k1") for _ in range(8)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    busy = [answer for answer in answers if answer.status_code == 409]
    assert all(answer.json()["code"] == "idempotency_key_in_use" for answer in busy)
    assert all(answer.headers["retry-after"] == "1" for answer in busy)
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await balance(client, account) == 10
    assert (await post({"kind": "earn", "points": 10}, key="k1")).status_code == 201


async def test_two_processes_given_the_same_key_at_once_move_points_once(
    post: Post, sessions: Sessions, account: Account, client: httpx2.AsyncClient
) -> None:
    """Another process is another set of running keys: emptied here, the database alone decides."""
    app = client._transport.app  # pyright: ignore

    class Forgetful(set[Any]):
        def add(self, _: Any) -> None:
            pass

    app.state.running_keys = Forgetful()

    answers = await asyncio.gather(*(post({"kind": "earn", "points": 10}, key="k1") for _ in range(8)))

    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.content for answer in answers}) == 1
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Entry)) == 1


async def test_a_key_may_try_again_after_a_failure_of_ours(
    post: Post, client: httpx2.AsyncClient, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> bool:
        raise RuntimeError("the disk is full")

    purchase = {"kind": "earn", "amount": "200.00"}  # what is plain stores its answer by a shorter way
    with monkeypatch.context() as patch:
        patch.setattr("app.members.idempotency.store", fails)
        with pytest.raises(RuntimeError, match="disk"):
            await post(purchase, key="k1")

    assert await balance(client, account) == 0
    assert (await post(purchase, key="k1")).status_code == 201


async def test_an_event_of_the_source_counts_once_under_any_key(
    post: Post, client: httpx2.AsyncClient, account: Account
) -> None:
    order = {"kind": "earn", "points": 10, "source": "till", "source_event": "order:1"}

    first, second = await post(order), await post(order)
    other = await post(order | {"points": 11})

    assert (second.status_code, second.json()["repeated"]) == (201, True)
    assert second.json()["entry"] == first.json()["entry"]
    assert (other.status_code, other.json()["code"]) == (409, "source_event_reused")
    assert await balance(client, account) == 10


@pytest.mark.parametrize(
    ("movement", "status", "code", "pointer"),
    [
        ({"kind": "redeem", "points": 1}, 409, "not_enough_points", None),
        ({"kind": "adjust", "points": 0}, 422, "points_out_of_range", None),
        ({"kind": "adjust", "points": 2**53 + 1}, 422, "invalid_field", "/body/points"),
        ({"kind": "earn", "points": 1.0}, 422, "invalid_field", "/body/points"),
        ({"kind": "earn", "points": "1"}, 422, "invalid_field", "/body/points"),
        ({"kind": "earn", "points": True}, 422, "invalid_field", "/body/points"),
        ({"kind": "earn", "points": -1}, 422, "invalid_field", "/body/points"),
        ({"kind": "earn"}, 422, "invalid_field", "/body"),
        ({"kind": "earn", "points": 1, "amount": "1.00"}, 422, "invalid_field", "/body"),
        ({"kind": "earn", "amount": "1.001"}, 422, "invalid_field", "/body/amount"),
        ({"kind": "earn", "amount": 1.5}, 422, "invalid_field", "/body/amount"),
        ({"kind": "earn", "points": 1, "coins": 2}, 422, "invalid_field", "/body/coins"),
        ({"kind": "earn", "points": 1, "reason": "a\0b"}, 422, "invalid_field", "/body/reason"),
        ({"kind": "earn", "points": 1, "member_id": "mem_x"}, 404, "unknown_member", None),
        ({"kind": "reverse", "reverses": "ent_x"}, 404, "unknown_entry", "/body/reverses"),
        ({"kind": "steal", "points": 1}, 422, "invalid_field", "/body/kind"),
        ({"points": 1}, 422, "invalid_field", "/body/kind"),
        ([], 422, "invalid_field", "/body"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
async def test_what_is_refused_names_the_field_and_moves_nothing(
    post: Post,
    client: httpx2.AsyncClient,
    account: Account,
    movement: Any,
    status: int,
    code: str,
    pointer: str | None,
) -> None:
    answer = await post(movement)

    found = answer.json()
    assert (answer.status_code, found["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in found.get("errors", [])] == ([pointer] if pointer else [])
    assert await balance(client, account) == 0


async def test_a_blocked_member_neither_earns_nor_spends(
    post: Post, sessions: Sessions, account: Account
) -> None:
    async with sessions.begin() as session:
        member = (await session.scalars(select(Member).where(Member.account_id == account.id))).one()
        member.state = "blocked"

    answer = await post({"kind": "earn", "points": 10})

    assert (answer.status_code, answer.json()["code"]) == (423, "member_blocked")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "idempotency_key_required"),
        ("k" * 256, "invalid_idempotency_key"),
        ("a\tb", "invalid_idempotency_key"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_movement_needs_a_usable_idempotency_key(
    anyone: httpx2.AsyncClient, key: str, account: Account, sent: str, code: str
) -> None:
    answer = await anyone.post(
        f"/accounts/{account.id}/transactions",
        json={"kind": "earn", "points": 1},
        headers={"Authorization": f"Bearer {key}"} | ({"Idempotency-Key": sent} if sent else {}),
    )

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["errors"][0]["pointer"] == "/header/Idempotency-Key"


async def test_a_key_of_255_characters_serves(post: Post) -> None:
    assert (await post({"kind": "earn", "points": 1}, key="k" * 255)).status_code == 201


async def test_another_programmes_account_is_unknown(
    client: httpx2.AsyncClient, sessions: Sessions, account: Account
) -> None:
    async with sessions.begin() as session:
        other = await make_account(session)

    answer = await client.post(
        f"/accounts/{other.id}/transactions",
        json={"kind": "earn", "points": 1},
        headers={"Idempotency-Key": "k1"},
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account")
    assert (await client.get(f"/accounts/{other.id}")).status_code == 404
    assert (await client.get(f"/accounts/{other.id}/entries")).status_code == 404


async def test_the_ledger_is_read_in_pages_newest_first(
    post: Post, client: httpx2.AsyncClient, account: Account
) -> None:
    for points in (1, 2, 3, 4, 5):
        await post({"kind": "earn", "points": points})

    pages: list[list[int]] = []
    cursor: str | None = None
    while cursor or not pages:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"/accounts/{account.id}/entries", params=query)).json()
        pages.append([entry["points"] for entry in page["data"]])
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)

    assert pages == [[5, 4], [3, 2], [1]]


async def test_in_a_programme_that_mirrors_a_movement_moves_every_account_of_the_phone(client):
    changed = await client.patch("/program", json={"balances": "mirrored"})
    assert (changed.status_code, changed.json()["balances"]) == (200, "mirrored")
    family = [
        (await client.post("/members", json={"name": name, "phone": "+79161234567"})).json()
        for name in ("Mother", "Child")
    ]
    accounts = [each["account_id"] for each in family]
    assert len(set(accounts)) == 2

    body = {"kind": "earn", "points": 100, "source": "crm", "source_event": "deal:1"}
    for _ in range(2):
        answer = await client.post(f"/accounts/{accounts[1]}/transactions", json=body)
        assert answer.status_code in (200, 201)

    shown = [(await client.get(f"/accounts/{each}")).json()["balance"] for each in accounts]
    assert shown == [100, 100]
