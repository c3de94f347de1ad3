"""Which arm of a test a member is in: sticky, from the plan's seed, alike in SQL and in Python.

Each of the last sixteen characters of a member's id, its random part, is multiplied by a number drawn from
the seed; the sum modulo a prime is the bucket. This is multilinear hashing, whose buckets are pairwise
independent (Carter and Wegman 1979): no arm is favoured, and another seed shuffles everybody anew. Neither
database has a hash function that the other has too.
"""

import hashlib
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, func, literal

from app.campaigns.definition import HOLD_OUT, REST, Definition

BUCKETS = 10_000
_PRIME = 100_003
_CHARACTERS = 16


def _weights(seed: str) -> list[int]:
    digest = hashlib.shake_256(seed.encode()).digest(_CHARACTERS * 8)
    parts = [digest[place * 8 : place * 8 + 8] for place in range(_CHARACTERS)]
    return [int.from_bytes(part, "big") % (_PRIME - 1) + 1 for part in parts]


def bucket(seed: str, member_id: str) -> int:
    """0 to 9999."""
    tail = member_id[-_CHARACTERS:]
    total = sum(weight * ord(character) for weight, character in zip(_weights(seed), tail, strict=False))
    return total % _PRIME % BUCKETS


def is_divided(definition: Definition) -> bool:
    """Whether members differ at all."""
    return len(_borders(definition)) > 1


def bucket_sql(seed: str, member_id: Any, *, database: str) -> ColumnElement[int]:
    """The same over a column of ids."""
    code = func.ascii if database == "postgresql" else func.unicode
    tail = (
        func.substr(member_id, -_CHARACTERS) if database == "sqlite" else func.right(member_id, _CHARACTERS)
    )
    terms = [
        weight * func.coalesce(cast(code(func.substr(tail, place, 1)), BigInteger), 0)
        for place, weight in enumerate(_weights(seed), start=1)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total % _PRIME % BUCKETS


def _borders(definition: Definition) -> list[tuple[int, str]]:
    """The first bucket beyond each arm, in order; the hold-out comes first, so that it stays the same."""
    borders = [(definition.hold_out_percent * 100, HOLD_OUT)] if definition.hold_out_percent else []
    end = definition.hold_out_percent * 100
    if not definition.variants:
        return [*borders, (BUCKETS, definition.arms[0].name)]
    for variant in definition.variants:
        end += variant.percent * 100
        borders.append((end, variant.name))
    return borders if end == BUCKETS else [*borders, (BUCKETS, REST)]


def arm_of(definition: Definition, seed: str, member_id: str) -> str:
    """The arm a member is in: a variant's name, "hold_out" or "rest"."""
    mine = bucket(seed, member_id)
    return next(name for border, name in _borders(definition) if mine < border)


def arm_sql(definition: Definition, number: ColumnElement[int]) -> ColumnElement[str]:
    """The same as an expression over the bucket."""
    *borders, (_, last) = _borders(definition)
    if not borders:
        return literal(last)
    return case(*((number < border, name) for border, name in borders), else_=last)
