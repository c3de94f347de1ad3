"""Writing one movement of points: the account, the entry and the lots, in as few round trips as it takes.

The account's row is lock and guard at once: one conditional UPDATE moves balance, sequence and tier, or
matches nothing. Written in SQL because this is the hottest path of the program.

SQLite runs the statements one by one (they cost microseconds). PostgreSQL gets the same texts folded into
one statement, for there every round trip costs about 0.4 ms. The steps work on both; the tests
hold the two ways to the same results.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, String, TextClause

from app.db import UtcDateTime
from app.points import lots
from app.points.refusals import POINTS_MAX
from app.sql import run_on, typed_text
from app.sqlite_driver import Turn


@dataclass(frozen=True, slots=True)
class Movement:
    """The facts of one movement, before it has a place in the ledger."""

    account_id: str
    kind: str
    points: int  # signed
    reason: str
    source: str
    source_event: str
    now: datetime
    program_id: str | None = None  # where given, the account must belong to it
    member_id: str | None = None
    by_operator: bool = False  # a correction: possible even when the member is blocked
    amount_minor_units: int | None = None
    reverses_id: str | None = None
    tier_points: int = 0
    tier_at: datetime | None = None  # when the tier points were earned; None: now
    first_lot_id: str | None = None  # a debit takes from this lot before the others


_FIELDS = tuple(field.name for field in fields(Movement))  # dataclasses.asdict copies deeply: 20 us


@dataclass(frozen=True, slots=True)
class Written:
    """Where a movement came to stand."""

    program_id: str
    sequence: int
    balance: int


# A reversal counts only while what it reverses counts; the first credit of a period opens it.
MOVE = """
UPDATE accounts SET
  balance = balance + :points,
  sequence = sequence + 1,
  tier_points = tier_points
    + CASE WHEN :tier_points > 0 OR tier_from <= :tier_at THEN :tier_points ELSE 0 END,
  tier_from = CASE WHEN :tier_points > 0 AND (tier_from IS NULL OR tier_from > :tier_at)
    THEN :tier_at ELSE tier_from END,
  tier_id = CASE WHEN :tier_points = 0 OR tier_is_manual THEN tier_id ELSE (
    SELECT tiers.id FROM tiers
    WHERE tiers.program_id = accounts.program_id AND tiers.threshold <= accounts.tier_points
      + CASE WHEN :tier_points > 0 OR accounts.tier_from <= :tier_at THEN :tier_points ELSE 0 END
    ORDER BY tiers.threshold DESC LIMIT 1) END
WHERE id = :account_id
  AND (:program_id IS NULL OR program_id = :program_id)
  AND balance + :points BETWEEN 0 AND :balance_max
  AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.program_id = accounts.program_id
    AND entries.source = :source AND entries.source_event = :source_event)
  AND (:reverses_id IS NULL OR NOT EXISTS (SELECT 1 FROM entries WHERE entries.reverses_id = :reverses_id))
  AND (:by_operator AND :member_id IS NULL
    OR EXISTS (SELECT 1 FROM members WHERE members.account_id = accounts.id
      AND (:by_operator OR members.state = 'active') AND (:member_id IS NULL OR members.id = :member_id))
    OR :member_id IS NULL AND NOT EXISTS (SELECT 1 FROM members WHERE members.account_id = accounts.id))
RETURNING id AS account_id, program_id, balance, sequence, (
  SELECT points_expire_after_days FROM programs WHERE programs.id = accounts.program_id
) AS expire_after_days
"""

ADD_ENTRY = """
INSERT INTO entries (id, program_id, account_id, member_id, sequence, kind, points, balance_after,
  tier_points, amount_minor_units, reason, source, source_event, reverses_id, at)
SELECT :entry_id, program_id, :account_id, :member_id, sequence, :kind, :points, balance,
  :tier_points, :amount_minor_units, :reason, :source, :source_event, :reverses_id, :now
FROM {moved}
"""

# On PostgreSQL another transaction may have recorded the same event since our snapshot.
_UNLESS_THERE = "ON CONFLICT DO NOTHING RETURNING id"

_ADD_LOT = """
INSERT INTO lots (entry_id, program_id, account_id, sequence, points, remaining, expires_at)
SELECT :entry_id, program_id, :account_id, sequence, :points, :points, {expires_at} FROM {moved}
"""

_PUT_BACK = """
UPDATE accounts SET
  balance = balance - :points,
  sequence = sequence - 1,
  tier_points = tier_points
    - CASE WHEN :tier_points > 0 OR tier_from <= :tier_at THEN :tier_points ELSE 0 END,
  tier_id = CASE WHEN :tier_points = 0 OR tier_is_manual THEN tier_id ELSE (
    SELECT tiers.id FROM tiers
    WHERE tiers.program_id = accounts.program_id AND tiers.threshold <= accounts.tier_points
      - CASE WHEN :tier_points > 0 OR accounts.tier_from <= :tier_at THEN :tier_points ELSE 0 END
    ORDER BY tiers.threshold DESC LIMIT 1) END
WHERE id = :account_id
"""

TYPES = {
    "entry_id": String(),
    "account_id": String(),
    "program_id": String(),
    "member_id": String(),
    "kind": String(),
    "points": BigInteger(),
    "balance_max": BigInteger(),
    "tier_points": BigInteger(),
    "amount_minor_units": BigInteger(),
    "reason": String(),
    "source": String(),
    "source_event": String(),
    "reverses_id": String(),
    "by_operator": Boolean(),
    "now": UtcDateTime(),
    "tier_at": UtcDateTime(),
    "expires_at": UtcDateTime(),
}


def _statement(sql: str) -> TextClause:
    return typed_text(sql, TYPES)


_JUST_MOVED = "accounts WHERE id = :account_id"
_MOVE_STEP = _statement(MOVE)
_ENTRY_STEP = _statement(ADD_ENTRY.format(moved=_JUST_MOVED) + _UNLESS_THERE)
_LOT_STEP = _statement(_ADD_LOT.format(moved=_JUST_MOVED, expires_at=":expires_at"))
_PUT_BACK_STEP = _statement(_PUT_BACK)

# "24 hours", not "1 day": PostgreSQL's day follows the summer time of the session's zone.
_EXPIRES_AT = ":now + expire_after_days * interval '24 hours'"
ADD_LOT_AT_ONCE = _ADD_LOT.format(moved="moved", expires_at=_EXPIRES_AT)
_ADDED = ADD_ENTRY.format(moved="moved") + _UNLESS_THERE
_WITHOUT_LOT = f"""
WITH moved AS ({MOVE}), added AS ({_ADDED})
SELECT program_id, balance, sequence, EXISTS (SELECT 1 FROM added) AS added FROM moved
"""  # noqa: S608  constants of this file
_WITH_LOT = f"""
WITH moved AS ({MOVE}), added AS ({_ADDED}),
lot AS ({ADD_LOT_AT_ONCE} WHERE EXISTS (SELECT 1 FROM added))
SELECT program_id, balance, sequence, EXISTS (SELECT 1 FROM added) AS added FROM moved
"""  # noqa: S608  constants of this file
_ENTRY_AT_ONCE = _statement(_WITHOUT_LOT)
_ENTRY_AND_LOT_AT_ONCE = _statement(_WITH_LOT)


def write(connection: Connection | Turn, entry_id: str, movement: Movement) -> Written | None:
    """Write a movement, or nothing at all: None when something stands in its way (ask which afterwards).

    A credit makes a lot, a debit takes from lots, the reversal of a debit gives back to them. The
    account's row stays locked until the transaction ends.
    """
    values = values_of(entry_id, movement)
    makes_lot = makes_a_lot(movement)
    folded = folds(connection)
    written = (_at_once if folded else _in_steps)(connection, values, makes_lot=makes_lot)
    if written is not None and not makes_lot:
        lots.use(connection, values, gives_back=movement.points > 0, folded=folded)
    return written


def values_of(entry_id: str, movement: Movement) -> dict[str, Any]:
    """What the statements of a movement name."""
    values: dict[str, Any] = {name: getattr(movement, name) for name in _FIELDS}
    return values | {
        "entry_id": entry_id,
        "tier_at": movement.tier_at or movement.now,
        "balance_max": POINTS_MAX,
    }


def makes_a_lot(movement: Movement) -> bool:
    """Whether a movement brings new points, with a date of their own."""
    return movement.points > 0 and movement.reverses_id is None


def folds(connection: Connection | Turn) -> bool:
    """Whether this database changes several tables in one statement."""
    return connection.dialect.name == "postgresql"


def _at_once(connection: Connection | Turn, values: dict[str, Any], *, makes_lot: bool) -> Written | None:
    """Account, entry and lot in one statement (PostgreSQL)."""
    statement = _ENTRY_AND_LOT_AT_ONCE if makes_lot else _ENTRY_AT_ONCE
    for moved in run_on(connection, statement, values):
        if moved.added:
            return Written(moved.program_id, moved.sequence, moved.balance)
        run_on(connection, _PUT_BACK_STEP, values)
    return None


def _in_steps(connection: Connection | Turn, values: dict[str, Any], *, makes_lot: bool) -> Written | None:
    """Account, entry and lot one after the other (any database)."""
    for moved in run_on(connection, _MOVE_STEP, values):
        if not run_on(connection, _ENTRY_STEP, values):
            run_on(connection, _PUT_BACK_STEP, values)
            return None
        if makes_lot:
            days = moved.expire_after_days
            expires_at = None if days is None else values["now"] + timedelta(days=days)
            run_on(connection, _LOT_STEP, values | {"expires_at": expires_at})
        return Written(moved.program_id, moved.sequence, moved.balance)
    return None
