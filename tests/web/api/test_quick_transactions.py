"""The quick way past the framework: the same answers and the same rows as the long one, in any case."""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from app.db import Sessions
from app.members.models import Account, Program
from app.passes.issue import issue
from app.points import ledger
from app.points.movements import Written
from app.points.posting import Posted, _line
from app.points.quick import Keep
from app.points.reconcile import reconcile
from app.web.api.accounts import EntryOut
from app.web.api.quick_transactions import answer_to, post_quickly
from app.web.api.transactions import TransactionOut
from tests.make import NOON, make_account, make_member, make_tier

QUICK, LONG = "application/json", "application/json; charset=utf-8"
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)

DAY: list[dict[str, Any]] = [
    {"kind": "earn", "points": 700, "reason": "Order «1»"},
    {"kind": "earn", "points": 500, "source": "till", "source_event": "order:2"},
    {"kind": "redeem", "points": 900, "reason": "Cappuccino"},
    {"kind": "adjust", "points": 45},
    {"kind": "adjust", "points": -5, "reason": "miscounted"},
    {"kind": "redeem", "points": 10_000},
    {"kind": "earn", "points": 500, "source": "till", "source_event": "order:2"},
    {"kind": "redeem", "points": 335},
]


async def make_holder(sessions: Sessions, program: Program) -> Account:
    """An account with two members, each with a pass."""
    async with sessions.begin() as session:
        account = await make_account(session, program)
        for _ in range(2):
            await issue(session, await make_member(session, account), template="coffee", now=NOON)
        return account


@pytest.fixture
async def account(sessions: Sessions, program: Program) -> Account:
    async with sessions.begin() as session:
        await make_tier(session, program, code="silver", threshold=0, rate_basis_points=500)
        await make_tier(session, program, code="gold", threshold=1000, rate_basis_points=1000)
    return await make_holder(sessions, program)


async def send(
    client: httpx2.AsyncClient, account: Account, movement: Any, *, way: str = QUICK, **headers: str
) -> httpx2.Response:
    return await client.post(
        f"/accounts/{account.id}/transactions",
        content=orjson.dumps(movement),
        headers={"Content-Type": way} | headers,
    )


async def straight(
    app: FastAPI, key: str, account: Account, movement: Any, **headers: str
) -> Response | None:
    """What the quick door itself says, with nothing behind it; the process knows the key already."""
    given = {
        "authorization": f"Bearer {key}",
        "content-type": QUICK,
        "idempotency-key": secrets.token_hex(8),
    } | headers
    scope = {
        "type": "http",
        "app": app,
        "method": "POST",
        "path": f"/api/v1/accounts/{account.id}/transactions",
        "path_params": {"account_id": account.id},
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": orjson.dumps(movement), "more_body": False}

    return await post_quickly(Request(scope, receive))


@pytest.fixture
async def known(client: httpx2.AsyncClient, account: Account) -> None:
    """This process has seen the API key: only then is anything quick."""
    assert (await client.get(f"/accounts/{account.id}")).status_code == 200


ROWS = {
    "accounts": "SELECT balance, sequence, tier_points, tier_from, t.code FROM accounts a "
    "LEFT JOIN tiers t ON t.id = a.tier_id WHERE a.id = :id",
    "entries": "SELECT sequence, kind, points, balance_after, tier_points, reason, source, reverses_id, at "
    "FROM entries WHERE account_id = :id ORDER BY sequence",
    "lots": "SELECT sequence, points, remaining, expires_at FROM lots "
    "WHERE account_id = :id ORDER BY sequence",
    "lot_uses": "SELECT l.sequence, u.points FROM lot_uses u JOIN lots l ON l.entry_id = u.lot_id "
    "JOIN entries e ON e.id = u.entry_id WHERE l.account_id = :id ORDER BY e.sequence, l.sequence",
    "passes": "SELECT version, last_modified FROM passes p JOIN members m ON m.id = p.member_id "
    "WHERE m.account_id = :id ORDER BY p.id",
    "updates": "SELECT wallet, wanted_version, sent_version, queued, u.priority, wanted_at, touched_at "
    "FROM updates u JOIN passes p ON p.id = u.pass_id JOIN members m ON m.id = p.member_id "
    "WHERE m.account_id = :id ORDER BY p.id, wallet",
    "trace": "SELECT t.kind, t.version, t.at FROM trace t JOIN passes p ON p.id = t.pass_id "
    "JOIN members m ON m.id = p.member_id WHERE m.account_id = :id ORDER BY p.id, t.version",
}


async def rows(sessions: Sessions, account: Account) -> dict[str, Sequence[Any]]:
    """Everything a day of movements leaves behind, without the ids."""
    async with sessions() as session:
        return {
            name: (await session.execute(text(query), {"id": account.id})).all()
            for name, query in ROWS.items()
        }


async def jobs(sessions: Sessions) -> list[tuple[str, int, dict[str, str]]]:
    async with sessions() as session:
        found = await session.execute(text("SELECT entrypoint, priority, payload FROM pgqueuer ORDER BY id"))
        return [(kind, priority, orjson.loads(payload)) for kind, priority, payload in found]


async def test_a_day_leaves_the_same_rows_whichever_way_it_went(
    app: FastAPI,
    client: httpx2.AsyncClient,
    known: None,
    account: Account,
    program: Program,
    sessions: Sessions,
) -> None:
    other = await make_holder(sessions, program)

    quick = [await send(client, account, movement) for movement in DAY]
    after_quick = await jobs(sessions)
    renamed = [each | ({"source": "other"} if "source" in each else {}) for each in DAY]
    long = [await send(client, other, movement, way=LONG) for movement in renamed]

    assert [answer.status_code for answer in quick] == [201, 201, 201, 201, 201, 409, 201, 201]
    assert [answer.status_code for answer in long] == [answer.status_code for answer in quick]
    assert [answer.json().get("balance") for answer in long] == [
        answer.json().get("balance") for answer in quick
    ]
    left, right = await rows(sessions, account), await rows(sessions, other)
    right["entries"] = [
        tuple("till" if value == "other" else value for value in row) for row in right["entries"]
    ]
    assert {name: [tuple(row) for row in found] for name, found in left.items()} == {
        name: [tuple(row) for row in found] for name, found in right.items()
    }
    assert [(kind, priority) for kind, priority, _ in (await jobs(sessions))[len(after_quick) :]] == [
        (kind, priority) for kind, priority, _ in after_quick
    ]
    assert (await reconcile(app.state.services.engine, now=NOON)).mismatches == []


async def test_a_plain_movement_goes_the_quick_way_and_rings_each_pass_once(
    app: FastAPI, known: None, key: str, account: Account, sessions: Sessions
) -> None:
    for movement in ({"kind": "earn", "points": 10}, {"kind": "redeem", "points": 4}):
        answer = await straight(app, key, account, movement)
        assert answer is not None
        assert answer.status_code == 201

    assert orjson.loads(answer.body)["balance"] == 6
    found = await jobs(sessions)
    assert [(kind, priority) for kind, priority, _ in found] == [("push_apple", 100)] * 2
    assert len({args["pass_id"] for _, _, args in found}) == 2


@pytest.mark.parametrize(
    ("movement", "headers"),
    [
        ({"kind": "earn", "amount": "199.90"}, {}),
        ({"kind": "reverse", "reverses": "ent_1"}, {}),
        ({"kind": "redeem", "points": 1000}, {}),
        ({"kind": "adjust", "points": 0}, {}),
        ({"kind": "earn", "points": -1}, {}),
        ({"kind": "earn", "points": 10, "colour": "red"}, {}),
        ({"kind": "earn", "points": 10, "member_id": "mem_of_another"}, {}),
        (["earn"], {}),
        ({"kind": "earn", "points": 10}, {"content-type": LONG}),
        ({"kind": "earn", "points": 10}, {"idempotency-key": ""}),
        ({"kind": "earn", "points": 10}, {"idempotency-key": "x" * 256}),
        ({"kind": "earn", "points": 10}, {"authorization": "Bearer pb_live_nobody"}),
        ({"kind": "earn", "points": 10}, {"idempotency-key": "before"}),
        ({"kind": "earn", "points": 10, "source_event": "before"}, {}),
    ],
)
async def test_what_is_not_plain_is_left_alone(
    app: FastAPI,
    known: None,
    key: str,
    account: Account,
    sessions: Sessions,
    movement: Any,
    headers: dict[str, str],
) -> None:
    before = {"idempotency-key": "before"}
    assert await straight(app, key, account, {"kind": "earn", "points": 1}, **before) is not None
    left = await rows(sessions, account)

    assert await straight(app, key, account, movement, **headers) is None

    assert await rows(sessions, account) == left
    assert len(await jobs(sessions)) == 2


async def test_where_somebody_listens_the_long_way_tells_them(
    app: FastAPI, client: httpx2.AsyncClient, known: None, key: str, account: Account, sessions: Sessions
) -> None:
    assert (await client.post("/webhooks/endpoints", json={"event_types": ["*"]})).status_code == 201

    assert await straight(app, key, account, {"kind": "earn", "points": 10}) is None
    assert (await send(client, account, {"kind": "earn", "points": 10})).status_code == 201

    async with sessions() as session:
        told = await session.scalars(text("SELECT type FROM webhook_events"))
        assert sorted(told) == ["pass.updated", "pass.updated", "tier.changed", "transaction.posted"]


async def test_a_repeat_of_a_quick_one_is_told_the_same_byte_for_byte(
    client: httpx2.AsyncClient, known: None, account: Account
) -> None:
    named = {"Idempotency-Key": "order-1042"}
    first = await send(client, account, {"kind": "earn", "points": 10, "reason": "Заказ"}, **named)
    again = await send(client, account, {"kind": "earn", "points": 10, "reason": "Заказ"}, **named)
    other = await send(client, account, {"kind": "earn", "points": 11}, **named)

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_one_key_sent_by_many_at_once_moves_points_once(
    app: FastAPI, known: None, account: Account, sessions: Sessions, program: Program
) -> None:
    movement = ledger.plain_movement(
        "earn", account.id, 5, reason="", source="api", source_event="k", program_id=program.id, now=NOON
    )
    posts = app.state.plain_movements

    told = await asyncio.gather(
        *(
            posts.post(
                f"ent_{number}",
                movement,
                Keep(f"k{number % 2}", "hash", answer_to(f"ent_{number}", movement)),
            )
            for number in range(8)
        )
    )

    assert sum(body is not None for body in told) == 1
    assert (await rows(sessions, account))["accounts"][0].balance == 5


async def test_many_redemptions_at_once_never_spend_a_point_twice(
    app: FastAPI, client: httpx2.AsyncClient, known: None, account: Account
) -> None:
    for _ in range(4):
        await send(client, account, {"kind": "earn", "points": 25})

    answers = await asyncio.gather(
        *(send(client, account, {"kind": "redeem", "points": 30}) for _ in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 409, 409, 409]
    assert (await reconcile(app.state.services.engine, now=NOON)).mismatches == []


@given(TEXTS, TEXTS, st.one_of(st.none(), TEXTS), st.integers(1, 2**53), st.integers(1, 2**53))
def test_the_quick_answer_is_the_long_one_byte_for_byte(
    reason: str, source: str, member_id: str | None, sequence: int, balance: int
) -> None:
    movement = ledger.plain_movement(
        "redeem", "acc_1", 7, reason=reason, source=source, source_event="é/1", member_id=member_id, now=NOON
    )
    entry = Posted(_line("ent_1", movement, Written("prg_1", sequence, balance)), repeated=False).entry
    long = TransactionOut(entry=EntryOut.of(entry, ""), balance=balance, repeated=False)

    assert answer_to("ent_1", movement).filled(sequence, balance) == long.model_dump_json().encode()
