"""The usual movement in as few steps as there can be: the ledger, the passes, the jobs and the kept answer.

Nearly every movement is a plain one that nothing stands in the way of. PostgreSQL gets it as one statement,
which is its own transaction; SQLite gets the ledger's own steps on the bare connection. Anything else does
nothing here, and is posted by `ledger`, which finds out what stands in the way. The tests hold the two ways
to the same rows.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.ext.asyncio import AsyncEngine

from app import job_queue
from app.db import DATABASE_AWAY, open_sessions
from app.job_queue import kinds
from app.members import idempotency
from app.passes import versions
from app.points import lots, mirroring, movements
from app.points.movements import Movement
from app.sql import fetch, run_on, transaction, typed_text
from app.sqlite_driver import Turn
from app.webhooks import announce

STATUS = 201  # of every answer that is kept here


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a movement before it is written: JSON with gaps for the sequence and the balance."""

    before_sequence: str
    before_balance: str
    before_balance_again: str
    end: str

    def filled(self, sequence: int, balance: int) -> bytes:
        return (
            f"{self.before_sequence}{sequence}{self.before_balance}{balance}"
            f"{self.before_balance_again}{balance}{self.end}"
        ).encode()


@dataclass(frozen=True, slots=True)
class Keep:
    """Under which Idempotency-Key the answer is kept, and for which request."""

    key: str
    request_hash: str
    answer: Answer


class _Unusual(Exception):
    """Something stands in the way: what was done must be undone."""


_TYPES = (
    movements.TYPES
    | versions.TYPES
    | {
        "key": String(),
        "request_hash": String(),
        "status": Integer(),
        "before_sequence": String(),
        "before_balance": String(),
        "before_balance_again": String(),
        "end": String(),
    }
)
_KEEP = """
INSERT INTO stored_answers (program_id, key, request_hash, status, body, at)
SELECT program_id, :key, :request_hash, :status, convert_to(:before_sequence || sequence ||
  :before_balance || balance || :before_balance_again || balance || :end, 'UTF8'), :now FROM moved
"""
# An entry or an answer that is there already is an error, which undoes the whole statement.
_AT_ONCE = f"""
WITH moved AS ({movements.MOVE}), added AS ({movements.ADD_ENTRY.format(moved="moved")}), {{lots}},
{versions.account_at_once("EXISTS (SELECT 1 FROM moved)")}, kept AS ({_KEEP})
SELECT sequence, balance FROM moved
"""  # noqa: S608  constants of the program
_CREDIT = typed_text(_AT_ONCE.format(lots=f"lot AS ({movements.ADD_LOT_AT_ONCE})"), _TYPES)
_DEBIT = typed_text(_AT_ONCE.format(lots=lots.take_at_once("EXISTS (SELECT 1 FROM moved)")), _TYPES)
_LOCK = typed_text("SELECT 1 FROM accounts WHERE id = :account_id FOR UPDATE", _TYPES)


class PlainMovements:
    """Posts what is plain on an engine's connections; on PostgreSQL each statement is its own transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._sessions = open_sessions(engine)

    async def post(self, entry_id: str, movement: Movement, keep: Keep) -> bytes | None:
        """Post an earning, a redemption or an adjustment, and keep its answer; the answer as it was kept.

        `movement.program_id` is given. None, with nothing done, when anything stands in its way: too few
        points, a blocked member, a key or an event that was there before, a database that is busy or away;
        and where other systems listen or other accounts follow, which is done in the same transaction.
        """
        if await self._is_heard(movement.program_id) or await self._is_mirrored(movement.program_id):
            return None
        because = {"entry_id": entry_id, "kind": movement.kind}
        values = movements.values_of(entry_id, movement)
        values |= versions.values_of(because, priority=kinds.LIVE, now=movement.now)
        values |= {"key": keep.key, "request_hash": keep.request_hash, "status": STATUS}
        try:
            if self._engine.dialect.name == "postgresql":
                return await self._at_once(movement, values, keep.answer)
            return await self._in_steps(entry_id, movement, values, keep.answer)
        except (_Unusual, *DATABASE_AWAY):
            return None

    async def _is_heard(self, program_id: str | None) -> bool:
        programs = announce.remembered(self._engine.sync_engine)
        if programs is None:
            async with self._sessions() as session:
                return await announce.is_heard(session, program_id)
        return program_id in programs

    async def _is_mirrored(self, program_id: str | None) -> bool:
        return await mirroring.is_mirrored(self._engine, self._sessions, program_id)

    async def _at_once(self, movement: Movement, values: dict[str, Any], answer: Answer) -> bytes:
        values |= {name: getattr(answer, name) for name in Answer.__slots__}
        async with self._autocommit.connect() as connection:
            if movements.makes_a_lot(movement):
                moved = await fetch(connection, _CREDIT, values)
            else:
                async with transaction(connection):
                    # First, by itself: the lots are read as they were when a statement begins.
                    await fetch(connection, _LOCK, values)
                    moved = await fetch(connection, _DEBIT, values)
        for sequence, balance in moved:
            return answer.filled(sequence, balance)
        raise _Unusual

    async def _in_steps(
        self, entry_id: str, movement: Movement, values: dict[str, Any], answer: Answer
    ) -> bytes:
        async with Turn(self._engine) as turn:
            written = movements.write(turn, entry_id, movement)
            if written is None:
                raise _Unusual
            enqueued = versions.mark_account_in(turn, values)
            body = answer.filled(written.sequence, written.balance)
            if not run_on(turn, idempotency.STORE, values | {"body": body, "at": movement.now}):
                raise _Unusual
        if enqueued:
            job_queue.wake(self._engine)
        return body
