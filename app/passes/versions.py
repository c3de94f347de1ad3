"""A change that shows: the version rises, and each wallet is owed the newest one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import BigInteger, Connection, Integer, String, TextClause, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Json, UtcDateTime, new_id
from app.job_queue import enqueue_in, enqueue_many, enqueue_sql, kinds
from app.members.models import Member
from app.passes import trace
from app.passes.models import Pass
from app.sql import run_on, typed_text
from app.sqlite_driver import Turn
from app.webhooks.announce import announce_many, is_heard

APPLE = "apple"
GOOGLE = "google"
WEB = "web"

# By wallet, the job that brings it the newest version; and the one that does so for many passes.
_JOBS = {APPLE: kinds.PUSH_APPLE, GOOGLE: kinds.UPDATE_GOOGLE, WEB: kinds.PUSH_WEB}
_CHUNK_JOBS = {APPLE: kinds.PUSH_APPLE_CHUNK}
_BULK_JOBS = {GOOGLE: kinds.UPDATE_GOOGLE_BULK}  # one for each pass, in seats of their own
CHUNK = 250  # passes of one job: what a dead worker makes another repeat, and half a second's work

# Text, because every movement of points comes through here.
TYPES = {
    "second": BigInteger(),
    "message": String(),
    "account_id": String(),
    "now": UtcDateTime(),
    "texts": Json(),
    "but_wallet": String(),
    "trace_stem": String(),
    "program_id": String(),
    "details": Json(),
    "priority": Integer(),
}


def _statement(sql: str) -> TextClause:
    statement = typed_text(sql, TYPES)
    if ":pass_ids" in sql:
        return statement.bindparams(bindparam("pass_ids", type_=String(), expanding=True))
    return statement


# At least a whole second later than the last change: phones send the date back as an HTTP date, and of two
# changes in one second the second would be answered 304 and never shown.
_CHANGE = """
UPDATE passes SET version = version + 1,
  last_modified = CASE WHEN last_modified >= :second THEN last_modified + 1 ELSE :second END{and_message}
WHERE {which} RETURNING id, version
"""
_OF_ACCOUNT = "state = 'active' AND member_id IN (SELECT id FROM members WHERE account_id = :account_id)"
_CHANGE_ACCOUNT = _statement(_CHANGE.format(and_message="", which=_OF_ACCOUNT))
_CHANGE_THESE = _statement(_CHANGE.format(and_message="", which="id IN :pass_ids"))
_CHANGE_MESSAGE = _statement(_CHANGE.format(and_message=", message = :message", which="id IN :pass_ids"))
# Each with a text of its own, or none: rows as one JSON value, the only list that both databases take.
_TEXTS = {
    "sqlite": "SELECT json_extract(value, '$[0]') AS pass_id, json_extract(value, '$[1]') AS words"
    " FROM json_each(:texts)",
    "postgresql": "SELECT value->>0 AS pass_id, value->>1 AS words FROM jsonb_array_elements(:texts)",
}
_CHANGE_TEXTS = {
    name: _statement(
        _CHANGE.format(
            and_message=f", message = coalesce(given.words, message) FROM ({rows}) given",
            which="id = given.pass_id",
        )
    )
    for name, rows in _TEXTS.items()
}

# PostgreSQL does all of it at once, for there every statement is a journey of its own. `owed` locks the rows
# and reads them as they are after the wait, so `queued` is the newest, whoever changed it meanwhile. A job
# that waits with a campaign is not waited for: one of this change's priority is sent after it. No two
# parts are joined: without statistics PostgreSQL would compare each row of one with all of the other.
_KIND = " ".join(f"WHEN '{wallet}' THEN '{kind}'" for wallet, kind in _JOBS.items())
_JOBS_AT_ONCE = enqueue_sql(
    f"CASE wallet {_KIND} END",
    "json_build_object('pass_id', pass_id)::text",
    "owed WHERE NOT on_its_way ORDER BY pass_id, wallet",
)
_MARK = f"""
changed AS ({{change}}),
traced AS (
  INSERT INTO trace (id, program_id, pass_id, kind, version, details, at)
  SELECT :trace_stem || lpad(to_hex(row_number() OVER (ORDER BY id)), {trace.COUNTER_LENGTH}, '0'),
    :program_id, id, '{trace.CHANGED}', version, :details, :now FROM changed
),
owed AS (
  SELECT pass_id, wallet, changed.version AS newest, queued AND priority >= :priority AS on_its_way
  FROM changed JOIN updates ON pass_id = changed.id
  WHERE wallet <> :but_wallet ORDER BY pass_id, wallet FOR UPDATE OF updates
),
wanted AS (
  UPDATE updates SET wanted_at = :now, wanted_version = owed.newest, queued = true,
    priority = CASE WHEN owed.on_its_way THEN updates.priority ELSE :priority END,
    touched_at = CASE WHEN owed.on_its_way THEN updates.touched_at ELSE :now END
  FROM owed WHERE updates.pass_id = owed.pass_id AND updates.wallet = owed.wallet
)"""  # noqa: S608  constants of this file
_AT_ONCE = f"{_MARK}, jobs AS ({_JOBS_AT_ONCE})"
_CHANGES = (_CHANGE_ACCOUNT, _CHANGE_THESE, _CHANGE_MESSAGE)
_BY_TEXTS = _CHANGE_TEXTS["postgresql"]
_AT_ONCE_BY_CHANGE = {
    change: _statement(f"WITH {_AT_ONCE.format(change=change.text)} SELECT 1") for change in _CHANGES
}
# What may wait goes by chunks, which are made up of what this gives.
_MARK_BY_CHANGE = {
    change: _statement(
        f"WITH {_MARK.format(change=change.text)} SELECT pass_id, wallet FROM owed WHERE NOT on_its_way"  # noqa: S608
    )
    for change in (*_CHANGES, _BY_TEXTS)
}


def account_at_once(only_if: str) -> str:
    """`mark_account_changed` as parts of a larger WITH of PostgreSQL's; `only_if` is an SQL condition.

    Its names are those of `values_of`, and `:account_id`, `:program_id`, `:now`.
    """
    return _AT_ONCE.format(change=_CHANGE.format(and_message="", which=f"{_OF_ACCOUNT} AND {only_if}"))


# SQLite has one writer, so between its steps nobody changes `queued`.
_TRACE = f"""
INSERT INTO trace (id, program_id, pass_id, kind, version, details, at)
SELECT :trace_stem || printf('%0{trace.COUNTER_LENGTH}x', row_number() OVER (ORDER BY id)),
  :program_id, id, '{trace.CHANGED}', version, :details, :now FROM passes WHERE id IN :pass_ids
"""  # noqa: S608  constants of this file
# Which have no job of this priority on their way, before they are all marked as if they had.
_EDGES = """
SELECT pass_id, wallet FROM updates
WHERE pass_id IN :pass_ids AND wallet <> :but_wallet AND NOT (queued AND priority >= :priority)
"""
_WANT = """
UPDATE updates SET wanted_at = :now, queued = true,
  wanted_version = (SELECT version FROM passes WHERE passes.id = updates.pass_id),
  priority = CASE WHEN queued AND priority >= :priority THEN priority ELSE :priority END,
  touched_at = CASE WHEN queued AND priority >= :priority THEN touched_at ELSE :now END
WHERE pass_id IN :pass_ids AND wallet <> :but_wallet
"""


def _step(sql: str) -> TextClause:
    """A statement for SQLite, which gets a list of ids as one JSON value."""
    return typed_text(
        sql.replace(":pass_ids", "(SELECT value FROM json_each(:pass_ids))"), TYPES | {"pass_ids": Json()}
    )


_TRACE_STEP, _EDGES_STEP, _WANT_STEP = _step(_TRACE), _step(_EDGES), _step(_WANT)
_STEP_BY_CHANGE = {change: _step(change.text) for change in _CHANGES}
_STEP_BY_CHANGE[_BY_TEXTS] = _step(_CHANGE_TEXTS["sqlite"].text)


async def mark_account_changed(
    session: AsyncSession,
    program_id: str,
    account_id: str,
    *,
    because: Mapping[str, str],
    now: datetime,
    priority: int = kinds.LIVE,
) -> None:
    """Note that every active pass of an account shows something new, such as its balance.

    The account must be locked by the caller: that is what keeps two changes of its passes in order.
    """
    which = {"account_id": account_id}
    await _mark(session, program_id, _CHANGE_ACCOUNT, which, because=because, priority=priority, now=now)


async def mark_changed(
    session: AsyncSession,
    program_id: str,
    pass_ids: Sequence[str],
    *,
    because: Mapping[str, str],
    now: datetime,
    message: str | None = None,
    priority: int = kinds.LIVE,
) -> None:
    """Note that these passes show something new, whatever their state.

    `message` is the newest news on the back; None leaves it. `because` goes into the trace. `priority` is
    that of the jobs: a campaign gives BULK, and never keeps a later change of one pass waiting.
    """
    if not pass_ids:
        return
    which: dict[str, object] = {"pass_ids": list(pass_ids)}
    if message is None:
        await _mark(session, program_id, _CHANGE_THESE, which, because=because, priority=priority, now=now)
    else:
        which |= {"message": message}
        await _mark(session, program_id, _CHANGE_MESSAGE, which, because=because, priority=priority, now=now)


async def mark_retold(
    session: AsyncSession,
    program_id: str,
    texts: Mapping[str, str | None],
    *,
    because: Mapping[str, str],
    now: datetime,
    but_wallet: str = "",
) -> None:
    """`mark_changed` for a campaign: each pass with its own news; None leaves what it shows.

    `but_wallet` is not owed this change by itself: it hears of it with the next one.
    """
    if not texts:
        return
    which: dict[str, object] = {
        "texts": [[pass_id, text] for pass_id, text in sorted(texts.items())],
        "pass_ids": list(texts),
        "but_wallet": but_wallet,
    }
    await _mark(session, program_id, _BY_TEXTS, which, because=because, priority=kinds.BULK, now=now)


async def _mark(
    session: AsyncSession,
    program_id: str,
    change: TextClause,
    which: Mapping[str, object],
    *,
    because: Mapping[str, str],
    priority: int,
    now: datetime,
) -> None:
    if session.new or session.dirty:
        await session.flush()  # a pass made a moment ago may not be in the database yet
    values = {
        **values_of(because, priority=priority, now=now),
        **which,
        "program_id": program_id,
        "now": now,
    }
    if session.get_bind().dialect.name == "sqlite":
        step = _STEP_BY_CHANGE[change]
        edges = await session.run_sync(lambda sync: _mark_in_steps(sync.connection(), step, values))
    elif priority == kinds.BULK:
        rows = await session.execute(_MARK_BY_CHANGE[change], values)
        edges = [(row.pass_id, row.wallet) for row in rows]
    else:
        await session.execute(_AT_ONCE_BY_CHANGE[change], values)
        edges = []
    await enqueue_updates(session, edges, priority=priority)
    if await is_heard(session, program_id):
        await _tell_others(session, program_id, which, because=because, now=now)


async def _tell_others(
    session: AsyncSession,
    program_id: str,
    which: Mapping[str, object],
    *,
    because: Mapping[str, str],
    now: datetime,
) -> None:
    """Announce "pass.updated" for what was changed just now."""
    if "account_id" in which:
        members = select(Member.id).where(Member.account_id == which["account_id"])
        changed = and_(Pass.state == "active", Pass.member_id.in_(members))
    else:
        changed = Pass.id.in_(cast("list[str]", which["pass_ids"]))
    rows = await session.execute(select(Pass.id, Pass.version).where(changed).order_by(Pass.id))
    happened = [
        ("pass.updated", {"pass_id": row.id, "version": row.version, "because": dict(because)})
        for row in rows
    ]
    await announce_many(session, program_id, happened, now=now)


def values_of(because: Mapping[str, str], *, priority: int, now: datetime) -> dict[str, Any]:
    """What the statements of a change name, besides the pass and the moment."""
    return {
        "second": int(now.timestamp()),
        "details": dict(because),
        "but_wallet": "",
        "trace_stem": new_id("trc")[: -trace.COUNTER_LENGTH],
        "priority": priority,
    }


async def enqueue_updates(session: AsyncSession, owed: Iterable[tuple[str, str]], *, priority: int) -> None:
    """Enqueue the job of each (pass, wallet) that is owed something: its wallet's own kind.

    What may wait (BULK) goes by chunks where the wallet has jobs for them: a million passes are 4,000 jobs.
    """
    for kind, jobs in _jobs(owed, priority=priority):
        await enqueue_many(session, kind, jobs, priority=priority)


def mark_account_in(turn: Turn, values: dict[str, Any]) -> bool:
    """`mark_account_changed` in a transaction without a session (SQLite); whether workers must be woken.

    `values` are those of `values_of`, and `account_id`, `program_id`, `now`.
    """
    edges = _mark_in_steps(turn, _STEP_BY_CHANGE[_CHANGE_ACCOUNT], values)
    for kind, jobs in _jobs(edges, priority=values["priority"]):
        enqueue_in(turn, kind, jobs, priority=values["priority"])
    return bool(edges)


def _jobs(owed: Iterable[tuple[str, str]], *, priority: int) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for wallet, passes in groupby(sorted(owed, key=itemgetter(1, 0)), key=itemgetter(1)):
        pass_ids = [pass_id for pass_id, _ in passes]
        if priority == kinds.BULK and wallet in _CHUNK_JOBS:
            chunks = (pass_ids[start : start + CHUNK] for start in range(0, len(pass_ids), CHUNK))
            yield _CHUNK_JOBS[wallet], [{"pass_ids": ",".join(chunk)} for chunk in chunks]
        else:
            kind = _BULK_JOBS.get(wallet, _JOBS[wallet]) if priority == kinds.BULK else _JOBS[wallet]
            yield kind, [{"pass_id": pass_id} for pass_id in pass_ids]


def _mark_in_steps(
    connection: Connection | Turn, change: TextClause, values: dict[str, Any]
) -> list[tuple[str, str]]:
    """What PostgreSQL does at once; the (pass, wallet) that have no job of this priority on their way."""
    changed = [row.id for row in run_on(connection, change, values)]
    if not changed:
        return []
    values |= {"pass_ids": changed}
    run_on(connection, _TRACE_STEP, values)
    edges = [(row.pass_id, row.wallet) for row in run_on(connection, _EDGES_STEP, values)]
    run_on(connection, _WANT_STEP, values)
    return edges
