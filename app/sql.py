"""SQL as text, for the hottest paths: written once with :names, run with as little around it as can be.

A statement built from the models costs three times as much as a text, and SQLAlchemy's execution of a text
five times what SQLite itself needs for it.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, TextClause, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine


def typed_text(sql: str, types: Mapping[str, TypeEngine[Any]]) -> TextClause:
    """A statement to keep as a constant. `types` gives each `:name` its type.

    A session's pending rows must be flushed by the caller.
    """
    names = [name for name in types if f":{name}" in sql]
    return text(sql).bindparams(*(bindparam(name, type_=types[name]) for name in names))


async def run(session: AsyncSession, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
    """Run a statement in the session's transaction, as `run_on` does."""
    return await session.run_sync(lambda sync: run_on(sync.connection(), statement, values))


def run_on(connection: Connection, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
    """Run a statement; its rows, read by attribute. On SQLite it goes straight to the driver.

    Values that are not in the statement are left out; expanding ones (IN) are not possible. Columns come as
    the driver gives them. Raises sqlalchemy.exc.DBAPIError.
    """
    if connection.dialect.name != "sqlite":
        result = connection.execute(statement, values)
        return list(result) if result.returns_rows else []
    prepared = _prepared.get(statement) or _prepare(statement, connection.dialect)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(prepared.sql, prepared.written(values))
        return _rows(cursor)
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            prepared.sql, None, error, sqlite3.Error, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as SQLite's driver takes it, and how each of its values is written."""

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


def _rows(cursor: Any) -> list[Any]:
    if not cursor.description:
        return []
    names = tuple(str(column[0]) for column in cursor.description)
    row = _row_types.get(names)
    if row is None:
        made = namedtuple("Row", names)  # pyright: ignore[reportUntypedNamedTuple]
        row = _row_types.setdefault(names, made._make)
    return [row(values) for values in cursor.fetchall()]
