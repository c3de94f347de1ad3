"""Which credits a debit spends: lots by expiry, then by age; and giving back what a reversed debit took."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Connection, String, TextClause

from app.sql import run_on, typed_text
from app.sqlite_driver import Turn

# `before` is what the lots ahead of this one hold; a lot is touched while that does not cover the debit.
_TAKE = """
INSERT INTO lot_uses (entry_id, lot_id, points)
SELECT :entry_id, entry_id, CASE WHEN remaining < -:points - before THEN remaining ELSE -:points - before END
FROM (
  SELECT entry_id, remaining, CAST(sum(remaining) OVER (
    ORDER BY CASE WHEN entry_id = :first_lot_id THEN 0 ELSE 1 END,
      CASE WHEN expires_at IS NULL THEN 1 ELSE 0 END, expires_at, sequence
  ) AS BIGINT) - remaining AS before
  FROM lots WHERE account_id = :account_id AND remaining > 0
) AS open_lots
WHERE before < -:points
"""

_GIVE_BACK = """
INSERT INTO lot_uses (entry_id, lot_id, points)
SELECT :entry_id, lot_id, -points FROM lot_uses WHERE entry_id = :reverses_id
"""

_APPLY = """
UPDATE lots SET remaining = remaining - used.points FROM {used} WHERE lots.entry_id = used.lot_id
"""

_TYPES = {
    "entry_id": String(),
    "account_id": String(),
    "first_lot_id": String(),
    "reverses_id": String(),
    "points": BigInteger(),
}


def _statement(sql: str) -> TextClause:
    return typed_text(sql, _TYPES)


_TAKE_STEP = _statement(_TAKE)
_GIVE_BACK_STEP = _statement(_GIVE_BACK)
_APPLY_STEP = _statement(
    _APPLY.format(used="(SELECT lot_id, points FROM lot_uses WHERE entry_id = :entry_id) AS used")
)
_TAKE_AT_ONCE = _statement(f"WITH used AS ({_TAKE} RETURNING lot_id, points) {_APPLY.format(used='used')}")
_GIVE_BACK_AT_ONCE = _statement(
    f"WITH used AS ({_GIVE_BACK} RETURNING lot_id, points) {_APPLY.format(used='used')}"
)


def take_at_once(only_if: str) -> str:
    """What a debit takes, as parts of a larger WITH of PostgreSQL's; `only_if` is an SQL condition."""
    return (
        f"used AS ({_TAKE} AND {only_if} RETURNING lot_id, points), applied AS ({_APPLY.format(used='used')})"
    )


def use(connection: Connection | Turn, values: Mapping[str, Any], *, gives_back: bool, folded: bool) -> None:
    """Take an entry's points from its account's lots, or give back what the reversed entry took.

    The account must be locked by the caller in an *earlier* statement: PostgreSQL reads the lots as they
    were when this one begins.
    """
    if folded:
        run_on(connection, _GIVE_BACK_AT_ONCE if gives_back else _TAKE_AT_ONCE, values)
        return
    run_on(connection, _GIVE_BACK_STEP if gives_back else _TAKE_STEP, values)
    run_on(connection, _APPLY_STEP, values)
