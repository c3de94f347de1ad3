"""Proving the books: that balances, sequences, lots, tiers and the outbox are what the entries say.

Reads only. Every check is one SELECT that finds what is wrong; nothing is repaired here.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, String, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db import UtcDateTime

ACCOUNTS_AT_ONCE = 100
MISMATCHES_MAX = 1000  # when so much is wrong, more of it tells nobody more
OUTBOX_SILENT_FOR = timedelta(hours=1)  # the sweep looks every minute at what was silent for much less


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One row that is not what it must be."""

    kind: str  # of the check: "balance", "sequence", "lot" ...
    table: str
    id: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.table} {self.id}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Report:
    """What was looked at and what is wrong: at most 1,000 mismatches, in the order they were found."""

    accounts: int = 0
    entries: int = 0
    mismatches: list[Mismatch] = field(default_factory=list[Mismatch])


@dataclass(frozen=True, slots=True)
class Check:
    """A SELECT of (id, expected, found) whose rows are mismatches, among accounts :after < id <= :last."""

    kind: str
    table: str
    statement: TextClause


_TYPES = {
    "after": String(),
    "last": String(),
    "silent_since": UtcDateTime(),
    "mismatches_max": Integer(),
    "page": Integer(),
}


def _statement(sql: str) -> TextClause:
    names = [name for name in _TYPES if f":{name}" in sql]
    return text(sql).bindparams(*(bindparam(name, type_=_TYPES[name]) for name in names))


_PAGE = _statement("SELECT id FROM accounts WHERE id > :after ORDER BY id LIMIT :page")
_COUNT = _statement("SELECT count(*) FROM entries WHERE account_id > :after AND account_id <= :last")

_LIMIT = " LIMIT :mismatches_max"
_CHAIN = """
SELECT id, {expected}, {column} FROM (
  SELECT id, account_id, sequence, points, balance_after,
    coalesce(lag(sequence) OVER chain, 0) AS sequence_before,
    coalesce(lag(balance_after) OVER chain, 0) AS balance_before
  FROM entries WHERE account_id > :after AND account_id <= :last
  WINDOW chain AS (PARTITION BY account_id ORDER BY sequence)
) AS chained
WHERE {column} <> {expected} ORDER BY account_id, sequence
"""
_ACCOUNT = """
SELECT id, expected, found FROM (
  SELECT accounts.id, accounts.{column} AS found, coalesce({expected}, 0) AS expected
  FROM accounts LEFT JOIN {rows} ON rows.account_id = accounts.id
  WHERE accounts.id > :after AND accounts.id <= :last
  GROUP BY accounts.id, accounts.{column}
) AS accounts_and_rows
WHERE found <> expected ORDER BY id
"""
_LOT_OF_ENTRY = """
SELECT entries.id, entries.points, coalesce(lots.points, 0)
FROM entries LEFT JOIN lots ON lots.entry_id = entries.id AND lots.account_id = entries.account_id
  AND lots.sequence = entries.sequence
WHERE entries.account_id > :after AND entries.account_id <= :last
  AND entries.points > 0 AND entries.kind <> 'reverse'
  AND (lots.points IS NULL OR lots.points <> entries.points)
ORDER BY entries.account_id, entries.sequence
"""
_LOT_REMAINS = """
SELECT entry_id, expected, remaining FROM (
  SELECT lots.entry_id, lots.account_id, lots.sequence, lots.remaining,
    lots.points - coalesce(sum(lot_uses.points), 0) AS expected
  FROM lots LEFT JOIN lot_uses ON lot_uses.lot_id = lots.entry_id
  WHERE lots.account_id > :after AND lots.account_id <= :last
  GROUP BY lots.entry_id, lots.account_id, lots.sequence, lots.remaining, lots.points
) AS lots_and_uses
WHERE remaining <> expected ORDER BY account_id, sequence
"""
_USES_OF_ENTRY = """
SELECT id, expected, found FROM (
  SELECT entries.id, entries.account_id, entries.sequence, -entries.points AS expected,
    coalesce(sum(lot_uses.points), 0) AS found
  FROM entries LEFT JOIN lot_uses ON lot_uses.entry_id = entries.id
  WHERE entries.account_id > :after AND entries.account_id <= :last
    AND (entries.points < 0 OR entries.kind = 'reverse')
  GROUP BY entries.id, entries.account_id, entries.sequence, entries.points
) AS entries_and_uses
WHERE found <> expected ORDER BY account_id, sequence
"""
_REVERSAL = """
SELECT entries.id, -originals.points, entries.points
FROM entries LEFT JOIN entries AS originals ON originals.id = entries.reverses_id
  AND originals.account_id = entries.account_id AND originals.kind NOT IN ('reverse', 'expire')
WHERE entries.account_id > :after AND entries.account_id <= :last
  AND (entries.kind = 'reverse' OR entries.reverses_id IS NOT NULL)
  AND (originals.id IS NULL OR entries.kind <> 'reverse' OR entries.points <> -originals.points
    OR entries.tier_points <> -originals.tier_points)
ORDER BY entries.account_id, entries.sequence
"""
_TIER_POINTS = """(
  SELECT entries.account_id, entries.tier_points
  FROM entries JOIN accounts AS holders ON holders.id = entries.account_id
  LEFT JOIN entries AS originals ON originals.id = entries.reverses_id
  WHERE entries.tier_points <> 0 AND coalesce(originals.at, entries.at) >= holders.tier_from
    AND entries.account_id > :after AND entries.account_id <= :last
)"""

ACCOUNT_CHECKS = tuple(
    Check(kind, table, _statement(sql + _LIMIT))
    for kind, table, sql in (
        ("sequence", "entries", _CHAIN.format(column="sequence", expected="sequence_before + 1")),
        (
            "balance after",
            "entries",
            _CHAIN.format(column="balance_after", expected="balance_before + points"),
        ),
        (
            "balance",
            "accounts",
            _ACCOUNT.format(column="balance", expected="sum(rows.points)", rows="entries AS rows"),
        ),
        (
            "newest sequence",
            "accounts",
            _ACCOUNT.format(column="sequence", expected="max(rows.sequence)", rows="entries AS rows"),
        ),
        (
            "open lots",
            "accounts",
            _ACCOUNT.format(column="balance", expected="sum(rows.remaining)", rows="lots AS rows"),
        ),
        ("lot of a credit", "entries", _LOT_OF_ENTRY),
        ("lot", "lots", _LOT_REMAINS),
        ("uses of an entry", "entries", _USES_OF_ENTRY),
        ("reversal", "entries", _REVERSAL),
        (
            "tier points",
            "accounts",
            _ACCOUNT.format(
                column="tier_points", expected="sum(rows.tier_points)", rows=f"{_TIER_POINTS} AS rows"
            ),
        ),
    )
)

OUTBOX_CHECKS = (
    Check(
        "outbox silent",
        "updates",
        _statement(
            "SELECT pass_id, wanted_version, sent_version FROM updates "
            "WHERE wanted_version > sent_version AND touched_at < :silent_since "
            "AND attempts < 1000000 "  # outbox.GIVEN_UP: what waits for a person
            "ORDER BY touched_at LIMIT :mismatches_max"
        ),
    ),
    Check(
        "version wanted",
        "updates",
        _statement(
            "SELECT updates.pass_id, passes.version, updates.wanted_version "
            "FROM updates JOIN passes ON passes.id = updates.pass_id "
            "WHERE updates.wanted_version > passes.version ORDER BY updates.pass_id LIMIT :mismatches_max"
        ),
    ),
    Check(
        "version sent",
        "updates",
        _statement(
            "SELECT pass_id, wanted_version, sent_version FROM updates "
            "WHERE sent_version > wanted_version ORDER BY pass_id LIMIT :mismatches_max"
        ),
    ),
)


async def reconcile(
    engine: AsyncEngine,
    *,
    now: datetime,
    silent_for: timedelta = OUTBOX_SILENT_FOR,
    page: int = ACCOUNTS_AT_ONCE,
) -> Report:
    """Check every account, `page` of them in one snapshot, and the outbox.

    Safe while the program runs: each page sees one moment. Memory stays the same however many there are.
    Give it `open_read_engine(url, for_reports=True)`: on SQLite the writing engine would make tills wait.
    A wallet that was owed an update for `silent_for` without anything happening is a mismatch.
    """
    report = Report()
    after = ""
    while len(report.mismatches) < MISMATCHES_MAX:
        async with _one_moment(engine) as connection:
            values: dict[str, Any] = {"after": after, "page": page}
            ids = (await connection.scalars(_PAGE, values)).all()
            if not ids:
                break
            values |= {"last": ids[-1]}
            report.accounts += len(ids)
            report.entries += (await connection.scalars(_COUNT, values)).one()
            await _run(connection, ACCOUNT_CHECKS, values, report)
            after = ids[-1]
    async with _one_moment(engine) as connection:
        await _run(connection, OUTBOX_CHECKS, {"silent_since": now - silent_for}, report)
    return report


async def _run(
    connection: AsyncConnection, checks: tuple[Check, ...], values: dict[str, Any], report: Report
) -> None:
    for check in checks:
        room = MISMATCHES_MAX - len(report.mismatches)
        rows = await connection.execute(check.statement, values | {"mismatches_max": room})
        report.mismatches.extend(
            Mismatch(check.kind, check.table, row[0], str(row[1]), str(row[2])) for row in rows
        )


@asynccontextmanager
async def _one_moment(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection whose SELECTs all see the same commits."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection
