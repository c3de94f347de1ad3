"""SQL as text, for the hottest paths: written once with :names, run with as little around it as can be.

A statement built from the models costs three times as much as a text, and SQLAlchemy's execution of a text
five times what SQLite itself needs for it.
"""

import sqlite3
from collections import namedtuple
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, TextClause, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.types import TypeEngine

from app.sqlite_driver import Turn


def typed_text(sql: str, types: Mapping[str, TypeEngine[Any]]) -> TextClause:
    """A statement to keep as a constant. `types` gives each `:name` its type.

    A session's pending rows must be flushed by the caller.
    """
    names = [name for name in types if f":{name}" in sql]
    return text(sql).bindparams(*(bindparam(name, type_=types[name]) for name in names))


# Thousands of ids as one JSON value `:ids` (type Json): a parameter for each would cost more than the answer.
IDS_GIVEN = {
    "sqlite": "SELECT value AS id FROM json_each(:ids)",
    "postgresql": "SELECT value AS id FROM jsonb_array_elements_text(:ids)",
}


async def run(session: AsyncSession, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
    """Run a statement in the session's transaction, as `run_on` does."""
    return await session.run_sync(lambda sync: run_on(sync.connection(), statement, values))


def run_on(connection: Connection | Turn, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
    """Run a statement; its rows, read by attribute. On SQLite it goes straight to the driver.

    Values that are not in the statement are left out; expanding ones (IN) are not possible. Columns come as
    the driver gives them. Raises sqlalchemy.exc.DBAPIError.
    """
    if connection.dialect.name != "sqlite":
        assert isinstance(connection, Connection)
        result = connection.execute(statement, values)
        return list(result) if result.returns_rows else []
    prepared = _prepared.get(statement) or _prepare(statement, connection.dialect)
    try:
        return _rows(*_on_driver(connection, prepared.sql, prepared.written(values)))
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            prepared.sql, None, error, sqlite3.Error, dialect=connection.dialect
        ) from error


def _on_driver(connection: Connection | Turn, sql: str, parameters: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """The description of a statement's columns and its rows, from SQLite's driver."""
    if isinstance(connection, Turn):
        answer = connection.execute(sql, parameters)
        return answer.description, answer.rows
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql, parameters)
        return cursor.description, list(cursor.fetchall())
    finally:
        cursor.close()


async def fetch(connection: AsyncConnection, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
    """Run a statement on PostgreSQL's driver itself, which takes a third of the time; its rows as tuples.

    The connection is one in AUTOCOMMIT, where SQLAlchemy keeps no transaction of its own: each statement
    commits by itself, but inside `transaction`. Raises asyncpg's errors.
    """
    prepared = _prepared.get(statement) or _prepare(statement, connection.dialect)
    return await (await _driver(connection)).fetch(prepared.sql, *prepared.written(values))


@asynccontextmanager
async def transaction(connection: AsyncConnection) -> AsyncGenerator[None]:
    """What `fetch` runs inside commits together, or not at all."""
    async with (await _driver(connection)).transaction():
        yield


async def _driver(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as the driver takes it, and how each of its values is written."""

    sql: str
    writers: tuple[tuple[str, Callable[[Any], Any] | None], ...]

    def written(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(values[name] if write is None else write(values[name]) for name, write in self.writers)


_prepared: dict[TextClause, _Prepared] = {}  # as many as there are constants
_row_types: dict[tuple[str, ...], Callable[[Iterable[Any]], Any]] = {}


def _prepare(statement: TextClause, dialect: Dialect) -> _Prepared:
    compiled = statement.compile(dialect=dialect)
    names: Sequence[str] = compiled.positiontup or ()  # pyright: ignore[reportAttributeAccessIssue]
    types = {name: bind.type for name, bind in compiled.binds.items()}  # pyright: ignore[reportAttributeAccessIssue]
    writers = tuple((name, types[name].dialect_impl(dialect).bind_processor(dialect)) for name in names)
    return _prepared.setdefault(statement, _Prepared(str(compiled), writers))


def _rows(description: Any, rows: Sequence[Any]) -> list[Any]:
    if not description:
        return []
    names = tuple(str(column[0]) for column in description)
    row = _row_types.get(names)
    if row is None:
        made = namedtuple("Row", names)  # pyright: ignore[reportUntypedNamedTuple]
        row = _row_types.setdefault(names, made._make)
    return [row(values) for values in rows]
