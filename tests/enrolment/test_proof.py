"""Proof of work: what counts, once, and that nothing else does."""

import base64
import hashlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.enrolment import proof
from app.enrolment.models import SpentChallenge
from tests.make import NOON

KEY = b"a secret key of the installation"


def solved(key: bytes = KEY, *, now=NOON) -> dict[str, object]:
    """A right solution, found as a browser finds it."""
    made = proof.challenge(key, cost=20, now=now)
    return json.loads(base64.b64decode(solve(made.challenge, made.salt, made.signature, made.max_number)))


def solve(challenge: str, salt: str, signature: str, largest: int) -> str:
    """What `join.js` sends for a challenge."""
    tried = (
        (number, hashlib.sha256(f"{salt}{number}".encode()).hexdigest()) for number in range(largest + 1)
    )
    number = next(number for number, digest in tried if digest == challenge)
    return written(
        {
            "algorithm": "SHA-256",
            "challenge": challenge,
            "number": number,
            "salt": salt,
            "signature": signature,
        }
    )


def written(solution: dict[str, object], **options) -> str:
    return base64.b64encode(json.dumps(solution, **options).encode()).decode()


async def test_a_right_solution_counts_once_however_it_is_written(session):
    solution = solved()
    reordered = dict(reversed(solution.items()))

    assert await proof.spend(session, KEY, written(solution), now=NOON)
    assert not await proof.spend(session, KEY, written(solution), now=NOON)
    assert not await proof.spend(session, KEY, written(reordered, indent=2), now=NOON)
    assert not await proof.spend(session, KEY, written(solution | {"took": 5}), now=NOON)


async def test_two_solutions_count_each(session):
    assert await proof.spend(session, KEY, written(solved()), now=NOON)
    assert await proof.spend(session, KEY, written(solved()), now=NOON)


@pytest.mark.parametrize(("minutes", "counts"), [(59, True), (60, False), (600, False)])
async def test_a_solution_counts_for_an_hour(session, minutes, counts):
    later = NOON + timedelta(minutes=minutes)

    assert await proof.spend(session, KEY, written(solved()), now=later) is counts


@pytest.mark.parametrize("database", ["sqlite"])
async def test_what_was_changed_does_not_count(session):
    right = solved()
    salt = str(right["salt"])
    wrong = [
        right | {"number": int(str(right["number"])) + 1},
        right | {"number": str(right["number"])},
        right | {"salt": salt.replace("expires=1", "expires=9")},
        right | {"salt": salt.split("?", maxsplit=1)[0]},
        right | {"signature": "0" * 64},
        right | {"challenge": "0" * 64},
        right | {"algorithm": "SHA-1"},
        right | {"algorithm": None},
        solved(b"another installation's secret key"),
    ]

    assert [await proof.spend(session, KEY, written(each), now=NOON) for each in wrong] == [False] * 9


NO_SESSION = None  # what is not a solution of ours is refused before the database is asked
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
)


@given(
    st.text()
    | st.binary(max_size=300).map(lambda data: base64.b64encode(data).decode())
    | json_values.map(lambda value: base64.b64encode(json.dumps(value).encode()).decode())
    | st.fixed_dictionaries(
        {
            "algorithm": st.just("SHA-256"),
            "challenge": st.text(),
            "number": st.integers(),
            "salt": st.text() | st.integers(0, 10**12).map(lambda until: f"a?expires={until}&"),
            "signature": st.text(),
        }
    ).map(lambda value: base64.b64encode(json.dumps(value).encode()).decode())
)
async def test_hostile_solutions_are_only_false(solution):
    assert await proof.spend(NO_SESSION, KEY, solution, now=NOON) is False


async def test_what_can_no_longer_be_spent_is_forgotten(session):
    await proof.spend(session, KEY, written(solved()), now=NOON)
    await proof.spend(session, KEY, written(solved()), now=NOON + timedelta(minutes=30))

    await proof.forget_expired(session, now=NOON + timedelta(minutes=61))

    assert len((await session.scalars(select(SpentChallenge))).all()) == 1
