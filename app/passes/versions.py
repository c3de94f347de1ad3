"""A change that shows: the version rises, and each wallet is owed the newest one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, String, TextClause, bindparam
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Json, UtcDateTime, new_id, typed_text
from app.job_queue import enqueue_many, kinds
from app.passes import trace

APPLE = "apple"

# Text, because every movement of points comes through here.
_TYPES = {
    "second": BigInteger(),
    "message": String(),
    "account_id": String(),
    "now": UtcDateTime(),
    "trace_stem": String(),
    "program_id": String(),
    "details": Json(),
}
_COUNTER_LENGTH = 4  # hexadecimal digits at the end of a trace line's id, for the passes of one change


def _statement(sql: str) -> TextClause:
    statement = typed_text(sql, _TYPES)
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

# PostgreSQL does all of it at once, for there every statement is a journey of its own. `owed` locks the rows
# and reads them as they are after the wait, so `queued` is the newest, whoever changed it meanwhile.
_AT_ONCE = f"""
WITH changed AS ({{change}}),
traced AS (
  INSERT INTO trace (id, program_id, pass_id, kind, version, details, at)
  SELECT :trace_stem || lpad(to_hex(row_number() OVER (ORDER BY id)), {_COUNTER_LENGTH}, '0'),
    :program_id, id, '{trace.CHANGED}', version, :details, :now FROM changed
),
owed AS (
  SELECT pass_id, queued FROM updates
  WHERE wallet = '{APPLE}' AND pass_id IN (SELECT id FROM changed) ORDER BY pass_id FOR UPDATE
),
wanted AS (
  UPDATE updates SET wanted_at = :now, wanted_version = changed.version, queued = true,
    touched_at = CASE WHEN owed.queued THEN updates.touched_at ELSE :now END
  FROM changed JOIN owed ON owed.pass_id = changed.id
  WHERE updates.wallet = '{APPLE}' AND updates.pass_id = changed.id
)
SELECT pass_id FROM owed WHERE NOT queued
"""  # noqa: S608  constants of this file
_AT_ONCE_BY_CHANGE = {
    change: _statement(_AT_ONCE.format(change=change.text))
    for change in (_CHANGE_ACCOUNT, _CHANGE_THESE, _CHANGE_MESSAGE)
}

_WANT = f"""
UPDATE updates SET wanted_at = :now,
  wanted_version = (SELECT version FROM passes WHERE passes.id = updates.pass_id){{and_queued}}
WHERE wallet = '{APPLE}' AND pass_id IN :pass_ids{{unless}} RETURNING pass_id, queued
"""  # noqa: S608  constants of this file
_QUEUED = ", queued = true, touched_at = :now"
_WANT_IN_NEW_JOB = _statement(_WANT.format(and_queued=_QUEUED, unless=" AND NOT queued"))
_WANT_IN_OLD_JOB = _statement(_WANT.format(and_queued="", unless=""))
_WANT_IN_ANOTHER_JOB = _statement(_WANT.format(and_queued=_QUEUED, unless=""))


async def mark_account_changed(
    session: AsyncSession, program_id: str, account_id: str, *, because: Mapping[str, str], now: datetime
) -> None:
    """Note that every active pass of an account shows something new, such as its balance.

    The account must be locked by the caller: that is what keeps two changes of its passes in order.
    """
    which = {"account_id": account_id}
    await _mark(session, program_id, _CHANGE_ACCOUNT, which, because=because, now=now)


async def mark_changed(
    session: AsyncSession,
    program_id: str,
    pass_ids: Sequence[str],
    *,
    because: Mapping[str, str],
    now: datetime,
    message: str | None = None,
) -> None:
    """Note that these passes show something new, whatever their state.

    `message` is the newest news on the back; None leaves it. `because` goes into the trace.
    """
    if not pass_ids:
        return
    which: dict[str, object] = {"pass_ids": list(pass_ids)}
    if message is None:
        await _mark(session, program_id, _CHANGE_THESE, which, because=because, now=now)
    else:
        which |= {"message": message}
        await _mark(session, program_id, _CHANGE_MESSAGE, which, because=because, now=now)


async def _mark(
    session: AsyncSession,
    program_id: str,
    change: TextClause,
    which: Mapping[str, object],
    *,
    because: Mapping[str, str],
    now: datetime,
) -> None:
    if session.new or session.dirty:
        await session.flush()  # a pass made a moment ago may not be in the database yet
    parameters = {**which, "second": int(now.timestamp())}
    if session.get_bind().dialect.name == "postgresql":
        parameters |= {"program_id": program_id, "details": dict(because), "now": now}
        parameters["trace_stem"] = new_id("trc")[:-_COUNTER_LENGTH]
        edges = await session.scalars(_AT_ONCE_BY_CHANGE[change], parameters)
        await _enqueue(session, edges)
        return
    changed = await session.execute(change, parameters)
    versions = {row.id: row.version for row in changed}
    if versions:
        await trace.record_versions(session, program_id, versions, trace.CHANGED, details=because, now=now)
        await _want(session, list(versions), now=now)


async def _want(session: AsyncSession, pass_ids: Sequence[str], *, now: datetime) -> None:
    """Raise what Apple's wallet is owed, and enqueue a job for each pass that has none on its way.

    Each UPDATE locks its rows until commit. So a worker that clears `queued` meanwhile has either done so
    before, and this change enqueues anew, or does so afterwards, and then reads this version.
    """
    edges = await _raise_wanted(session, _WANT_IN_NEW_JOB, pass_ids, now=now)
    on_their_way = [pass_id for pass_id in pass_ids if pass_id not in edges]
    if on_their_way:
        raised = await _raise_wanted(session, _WANT_IN_OLD_JOB, on_their_way, now=now)
        turned = [pass_id for pass_id in on_their_way if not raised.get(pass_id, True)]
        if turned:
            edges |= await _raise_wanted(session, _WANT_IN_ANOTHER_JOB, turned, now=now)
    await _enqueue(session, edges)


async def _enqueue(session: AsyncSession, pass_ids: Iterable[str]) -> None:
    jobs = [{"pass_id": pass_id} for pass_id in sorted(pass_ids)]
    await enqueue_many(session, kinds.PUSH_APPLE, jobs, priority=kinds.LIVE)


async def _raise_wanted(
    session: AsyncSession, statement: TextClause, pass_ids: Sequence[str], *, now: datetime
) -> dict[str, bool]:
    """Set what is wanted; by pass, whether a job for it is on its way now."""
    rows = await session.execute(statement, {"pass_ids": pass_ids, "now": now})
    return {row.pass_id: bool(row.queued) for row in rows}
