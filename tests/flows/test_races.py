"""Redemptions that fight over a hundred accounts, over HTTP, many of them sent twice.

PASSBELL_TEST_SOAK=1 (`make soak`) sends ten thousand.
"""

import asyncio
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, func, select

from app.clock import utc_now
from app.db import Sessions
from app.members.models import Account
from app.points import ledger
from app.points.models import Entry
from app.points.reconcile import reconcile
from tests.flows.crowd import Crowd, make_crowd
from tests.flows.server import Server, running
from tests.flows.wire import Wire

pytestmark = pytest.mark.slow

ACCOUNTS, CLIENTS = 100, 32
REQUESTS = 10_000 if os.environ.get("PASSBELL_TEST_SOAK") else 2_500
REPLAYS = 0.2
POINTS_MAX = 4
# Two thirds of what is asked for, so that the others must be refused.
OPENING = round(REQUESTS * (1 - REPLAYS) / ACCOUNTS * (1 + POINTS_MAX) / 2 * 2 / 3)
REFUSED = 409
STILL_RUNNING = b'"idempotency_key_in_use"'


@dataclass(frozen=True)
class Redemption:
    """One request, as often as it is sent."""

    key: str
    account_id: str
    points: int

    @property
    def body(self) -> bytes:
        return json.dumps({"kind": "redeem", "points": self.points, "reason": "Cappuccino"}).encode()


Told = dict[str, list[tuple[int, bytes]]]  # by key: every final answer


async def test_conflicting_redemptions_leave_the_books_true(
    settings: dict[str, Any], tmp_path: Path, sessions: Sessions
) -> None:
    crowd = await _open_accounts(sessions)
    redemptions = _redemptions(crowd)

    async with running(settings, tmp_path) as server:
        told, replayed = await _redeem_all(server, crowd, redemptions)

    assert {key: len(set(answers)) for key, answers in told.items() if len(set(answers)) > 1} == {}
    assert replayed == REQUESTS - len(told)
    statuses = Counter(answers[0][0] for answers in told.values())
    assert set(statuses) == {201, REFUSED}
    assert min(statuses.values()) > ACCOUNTS / 4, "the test must both spend and refuse"
    await _assert_books(sessions, crowd, told, {each.key: each for each in redemptions})


async def _open_accounts(sessions: Sessions) -> Crowd:
    now = utc_now()
    async with sessions.begin() as session:
        crowd = await make_crowd(session, ACCOUNTS, now=now, with_phones=False)
        for holder in crowd.holders:
            await ledger.open_balance(
                session,
                holder.account_id,
                OPENING,
                reason="",
                source="test",
                source_event=holder.account_id,
                now=now,
            )
    return crowd


def _redemptions(crowd: Crowd) -> list[Redemption]:
    """All requests in the order they are sent. A replay follows its first within a few hundred."""
    chance = random.Random(1)
    accounts = [holder.account_id for holder in crowd.holders]
    distinct = round(REQUESTS * (1 - REPLAYS))
    first = [
        Redemption(
            str(UUID(int=chance.getrandbits(128))), chance.choice(accounts), chance.randint(1, POINTS_MAX)
        )
        for _ in range(distinct)
    ]
    placed = [(float(place), each) for place, each in enumerate(first)]
    again = [
        (place + chance.expovariate(1 / 50), each)
        for place, each in chance.sample(placed, REQUESTS - distinct)
    ]
    return [each for _, each in sorted(placed + again, key=lambda entry: entry[0])]


async def _redeem_all(server: Server, crowd: Crowd, redemptions: Sequence[Redemption]) -> tuple[Told, int]:
    """Every answer by key, and how many were said to be a repetition of the first."""
    told: Told = defaultdict(list)
    waiting = iter(redemptions)
    replayed = 0

    async def client() -> None:
        nonlocal replayed
        async with Wire(server.url, {"Authorization": f"Bearer {crowd.api_key}"}) as wire:
            for each in waiting:
                path = f"/api/v1/accounts/{each.account_id}/transactions"
                while True:
                    answer = await wire.send("POST", path, each.body, {"Idempotency-Key": each.key})
                    if not (answer.status == REFUSED and STILL_RUNNING in answer.body):
                        break
                told[each.key].append((answer.status, answer.body))
                replayed += answer.headers.get("idempotency-replayed") == "true"

    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(client())
    return told, replayed


async def _assert_books(
    sessions: Sessions, crowd: Crowd, told: Told, redemptions: dict[str, Redemption]
) -> None:
    spent: Counter[str] = Counter()
    for key, answers in told.items():
        if answers[0][0] == 201:
            spent[redemptions[key].account_id] += redemptions[key].points
    expected = {holder.account_id: OPENING - spent[holder.account_id] for holder in crowd.holders}
    async with sessions() as session:
        balances = dict(_pairs(await session.execute(select(Account.id, Account.balance))))
        points = select(Entry.account_id, func.sum(Entry.points)).group_by(Entry.account_id)
        sums = dict(_pairs(await session.execute(points)))
        placed = select(Entry.account_id, Entry.sequence).order_by(Entry.account_id, Entry.sequence)
        sequences = _pairs(await session.execute(placed))
        events = (await session.scalars(select(Entry.source_event).where(Entry.source == "api"))).all()
        lowest = (await session.scalars(select(func.min(Entry.balance_after)))).one()
    assert balances == expected
    assert sums == expected
    assert lowest >= 0
    lengths = Counter(account_id for account_id, _ in sequences)
    assert sequences == [(id_, place) for id_ in sorted(lengths) for place in range(1, lengths[id_] + 1)]
    assert sorted(events) == sorted(key for key, answers in told.items() if answers[0][0] == 201)
    report = await reconcile(sessions.kw["bind"], now=utc_now())
    assert report.mismatches == []
    assert report.accounts == ACCOUNTS


def _pairs(rows: Iterable[Row[Any]]) -> list[tuple[Any, Any]]:
    return [(first, second) for first, second in rows]
