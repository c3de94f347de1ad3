"""The one writing connection of an engine, used in turns; turns that end together are committed together.

BEGIN IMMEDIATE                                        the group's
    SAVEPOINT - statements - RELEASE                   one transaction of the program
    SAVEPOINT - statements - ROLLBACK TO, RELEASE      another, which failed: the others stay
COMMIT                                                 in a thread; only now do both learn that it is done
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

GROUP_MAX = 256  # transactions that share a COMMIT
GROUP_SECONDS = 0.02  # how long a group stays open for one more
TURN_SECONDS = 15.0  # how long one transaction may stay open: everybody else waits for it
WAIT_SECONDS = 30.0  # how long one waits for a turn, or for another process's lock
LOCK_POLL_SECONDS = (0.001, 0.008)  # how often another process's lock is tried: at first, and at most
SLOW_SECONDS = 0.25  # such a statement belongs on the read engine for reports, which has threads

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave, with all its rows: nothing stays open on a connection the next one shares."""

    description: Any
    rows: list[Any]
    rowcount: int
    lastrowid: int | None


class Transaction:
    """One transaction of the program: a turn on the connection, inside a savepoint."""

    __slots__ = ("changes_before", "failure", "has_turn", "started", "wrote")

    def __init__(self, started: float, changes_before: int) -> None:
        self.started = started
        self.changes_before = changes_before
        self.wrote = False
        self.has_turn = True
        self.failure: sqlite3.OperationalError | None = None  # why it can only be rolled back


class Writer:
    """The writing connection to one database file."""

    def __init__(self, path: str) -> None:
        self._connection = connect(path)
        self._thread = ThreadPoolExecutor(1, "sqlite-commit")
        self._is_taken = False
        self._turn: Transaction | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._committed: list[asyncio.Future[None]] = []  # of this group, waiting for its COMMIT
        self._wrote = False
        self._opened = 0.0
        self._commit: asyncio.Future[None] | None = None
        self._watch: asyncio.TimerHandle | None = None

    # What a connection calls, in this order

    async def begin(self) -> Transaction:
        """Wait for a turn and open a transaction.

        Raises sqlite3.OperationalError after WAIT_SECONDS.
        """
        if self._is_taken:
            await self._wait_for_turn()
        self._is_taken = True
        try:
            if not self._connection.in_transaction:
                await self._open_group()
            self._connection.execute("SAVEPOINT passbell")
        except BaseException:
            self._pass_turn_on()
            raise
        now = asyncio.get_running_loop().time()
        self._turn = Transaction(now, self._connection.total_changes)
        self._watch_turn(TURN_SECONDS)
        return self._turn

    def execute(self, transaction: Transaction, sql: str, parameters: Any, *, many: bool) -> Answer:
        """Run a statement in the transaction, now."""
        if transaction.failure is not None:
            raise transaction.failure
        try:
            answer = run_on_loop(self._connection, sql, parameters, many=many)
        except sqlite3.Error as error:
            if not self._connection.in_transaction:
                self._group_is_lost(transaction, error)
            raise
        if answer.description is None:
            transaction.wrote = True
        return answer

    def release(self, transaction: Transaction) -> asyncio.Future[None] | None:
        """End the transaction well; what is returned is done when it is safe on disk (None: it is).

        The future fails with the COMMIT it shares, and with it every transaction of the group.
        """
        if transaction.failure is not None:
            raise transaction.failure
        self._connection.execute("RELEASE passbell")
        transaction.has_turn = False
        self._wrote |= transaction.wrote or self._connection.total_changes != transaction.changes_before
        # Who only read, but saw what others of the group wrote, must not tell it before it is safe.
        committed = asyncio.get_running_loop().create_future() if self._wrote else None
        if committed is not None:
            self._committed.append(committed)
        self._pass_turn_on()
        return committed

    def roll_back(self, transaction: Transaction) -> None:
        """Undo the transaction, and only it."""
        if not transaction.has_turn:
            return
        transaction.has_turn = False
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK TO passbell")
            self._connection.execute("RELEASE passbell")
        self._pass_turn_on()

    async def close(self) -> None:
        """Close the connection when the last COMMIT is through."""
        while self._commit is not None:
            await asyncio.wait({self._commit})
        self._unwatch()
        self._connection.close()
        self._thread.shutdown(wait=False)

    # Turns

    async def _wait_for_turn(self) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(WAIT_SECONDS, _time_out, turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_turn_on()  # cancelled in the moment it was given the turn
            raise
        finally:
            timer.cancel()

    def _pass_turn_on(self) -> None:
        """The connection is free: the next transaction of the group, its COMMIT, or nobody."""
        self._turn = None
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if self._waiting and not self._is_group_full():
            self._waiting.popleft().set_result(None)
        elif self._committed:
            self._commit_group()
        else:
            self._close_empty_group()
            if self._waiting:
                self._waiting.popleft().set_result(None)
            else:
                self._is_taken = False
                self._unwatch()

    def _is_group_full(self) -> bool:
        if not self._connection.in_transaction:
            return False
        age = asyncio.get_running_loop().time() - self._opened
        return len(self._committed) >= GROUP_MAX or age > GROUP_SECONDS

    def _watch_turn(self, seconds: float) -> None:
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(seconds, self._look_at_turn)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look_at_turn(self) -> None:
        self._watch = None
        transaction = self._turn
        if transaction is None:
            return
        left = transaction.started + TURN_SECONDS - asyncio.get_running_loop().time()
        if left > 0:
            self._watch_turn(left)
            return
        log.error("a transaction was open for %.0f s: rolled back, for others wait for it", TURN_SECONDS)
        transaction.failure = sqlite3.OperationalError(
            f"the transaction was rolled back: it was open for {TURN_SECONDS:.0f} s while others waited"
        )
        self.roll_back(transaction)

    # Groups

    async def _open_group(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        wait, longest = LOCK_POLL_SECONDS
        # Not SQLite's own busy_timeout: it sleeps up to 100 ms at a time, and this thread must not sleep.
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() > deadline:
                    raise
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)
        self._opened = loop.time()
        self._wrote = False

    def _commit_group(self) -> None:
        group, self._committed = self._committed, []
        loop = asyncio.get_running_loop()
        self._commit = loop.run_in_executor(self._thread, self._commit_now)
        self._commit.add_done_callback(lambda commit: self._group_is_committed(group, commit))

    def _commit_now(self) -> None:
        self._connection.execute("COMMIT")

    def _group_is_committed(
        self, group: Sequence[asyncio.Future[None]], commit: asyncio.Future[None]
    ) -> None:
        self._commit = None
        error = commit.exception()
        if error is not None:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            log.error("a COMMIT of %d transactions failed: %s", len(group), error)
        _settle(group, error)
        self._pass_turn_on()

    def _close_empty_group(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")  # of nothing: lets other processes write

    def _group_is_lost(self, transaction: Transaction, error: sqlite3.Error) -> None:
        """SQLite rolled everything back: the disk is full, or worse."""
        log.error("SQLite rolled back a group of %d transactions: %s", len(self._committed) + 1, error)
        transaction.failure = sqlite3.OperationalError(f"the transaction was rolled back: {error}")
        group, self._committed = self._committed, []
        _settle(group, error)


def run(connection: sqlite3.Connection, sql: str, parameters: Any, *, many: bool) -> Answer:
    """Execute one statement, `many`: once for each of the parameters."""
    cursor = connection.cursor()
    if many:
        cursor.executemany(sql, parameters)
    else:
        cursor.execute(sql, parameters)
    description = cursor.description
    rows = [] if description is None else cursor.fetchall()
    answer = Answer(description, rows, cursor.rowcount, cursor.lastrowid)
    cursor.close()
    return answer


def run_on_loop(connection: sqlite3.Connection, sql: str, parameters: Any, *, many: bool) -> Answer:
    """Execute one statement on the event loop's thread, and say so when that was a mistake."""
    started = time.perf_counter()
    answer = run(connection, sql, parameters, many=many)
    seconds = time.perf_counter() - started
    if seconds > SLOW_SECONDS:
        log.warning("a statement kept the event loop for %.2f s: %s", seconds, sql[:200])
    return answer


def connect(path: str) -> sqlite3.Connection:
    """A connection to the file, durable at every COMMIT, for one thread at a time."""
    connection = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _time_out(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(
            sqlite3.OperationalError(f"database is locked: waited {WAIT_SECONDS:.0f} s for a turn to write")
        )


def _settle(group: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    for committed in group:
        if committed.done():
            continue
        if error is None:
            committed.set_result(None)
        else:
            committed.set_exception(sqlite3.OperationalError(f"the COMMIT failed: {error}"))
