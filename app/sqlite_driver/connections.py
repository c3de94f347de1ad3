"""The DBAPI connections in SQLAlchemy's pool: virtual ones that write, and real ones that only read."""

import asyncio
import functools
import sqlite3
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.util import await_only

from app.sqlite_driver.writer import Answer, Transaction, Writer, run, run_on_loop

READ_BUSY_SECONDS = 5.0  # a reader only waits while another process recovers or closes the file


class _Ready:
    """What is awaited where nothing is: SQLAlchemy insists that an asyncio driver awaits something."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


_READY = _Ready()


class _Runs(Protocol):
    def run(self, sql: str, parameters: Any, *, many: bool) -> Answer: ...


class Cursor:
    """A DBAPI cursor whose rows are all there when `execute` returns."""

    __slots__ = ("_connection", "_rows", "arraysize", "description", "lastrowid", "rowcount")

    def __init__(self, connection: _Runs) -> None:
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self.arraysize = 1
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    def execute(self, operation: str, parameters: Any = ()) -> "Cursor":
        return self._keep(self._connection.run(operation, parameters, many=False))

    def executemany(self, operation: str, parameters: Any) -> "Cursor":
        return self._keep(self._connection.run(operation, parameters, many=True))

    def _keep(self, answer: Answer) -> "Cursor":
        self.description = answer.description
        self.rowcount = answer.rowcount
        self.lastrowid = answer.lastrowid
        self._rows = iter(answer.rows)
        return self

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [row for row, _ in zip(self._rows, range(size or self.arraysize), strict=False)]

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def setinputsizes(self, sizes: Any) -> None:
        """Nothing: SQLite's values carry their types."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing: every column comes whole."""

    def close(self) -> None:
        self._rows = iter(())

    async def _async_soft_close(self) -> None:
        """SQLAlchemy calls it when it has a result: nothing is open, and the rows are still to be read."""


class WriteConnection:
    """A virtual connection: its transactions take turns on the one writing connection of the engine.

    Outside a transaction, in SQLAlchemy's AUTOCOMMIT, it only reads.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._writer: Writer | None = None
        self._transaction: Transaction | None = None
        self.autocommit = False

    @property
    def in_transaction(self) -> bool:
        return self._transaction is not None

    def cursor(self) -> Cursor:
        return Cursor(self)

    def run(self, sql: str, parameters: Any, *, many: bool) -> Answer:
        await_only(_READY)
        if self._transaction is None or self._writer is None:
            return run_on_loop(self._database.reader(), sql, parameters, many=many)
        return self._writer.execute(self._transaction, sql, parameters, many=many)

    def begin(self) -> None:
        self._writer = self._database.writer()
        self._transaction = await_only(self._writer.begin())

    def commit(self) -> None:
        if self._transaction is None or self._writer is None:
            return
        committed = self._writer.release(self._transaction)
        self._transaction = None
        if committed is not None:
            await_only(committed)

    def rollback(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None and self._writer is not None:
            self._writer.roll_back(transaction)

    close = rollback  # there is nothing of its own to close


class ReadConnection:
    """A connection that only reads, each transaction from one snapshot of the file.

    With a `thread` its statements run there: for reports that would keep the event loop too long.
    """

    def __init__(self, path: str, thread: ThreadPoolExecutor | None) -> None:
        self._connection = connect_reader(path)
        self._thread = thread
        self.autocommit = False

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def cursor(self) -> Cursor:
        return Cursor(self)

    def run(self, sql: str, parameters: Any, *, many: bool) -> Answer:
        if self._thread is None:
            await_only(_READY)
            return run_on_loop(self._connection, sql, parameters, many=many)
        work = functools.partial(run, self._connection, sql, parameters, many=many)
        return await_only(asyncio.get_running_loop().run_in_executor(self._thread, work))

    def begin(self) -> None:
        self._connection.execute("BEGIN")

    def commit(self) -> None:
        self.rollback()

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


class Database:
    """The real connections behind an engine's virtual ones, opened when first needed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._writer: Writer | None = None
        self._reader: sqlite3.Connection | None = None

    def connect(self) -> WriteConnection:
        self.writer()
        return WriteConnection(self)

    def writer(self) -> Writer:
        if self._writer is None:
            self._writer = Writer(self._path)
        return self._writer

    def reader(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = connect_reader(self._path)
        return self._reader

    async def close(self) -> None:
        """Close what is open; the next use opens it again."""
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        if writer is not None:
            await writer.close()


def connect_reader(path: str) -> sqlite3.Connection:
    """A connection that cannot write, to a file that exists."""
    connection = sqlite3.connect(
        f"{Path(path).absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=READ_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    connection.execute("PRAGMA query_only=ON")
    return connection
