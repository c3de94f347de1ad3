"""The database: engine, sessions, column types, ids, and the few statements both databases spell alike.

SQLite is the embedded default, PostgreSQL the one that distributes. Everything else in the program is
written once for both.
"""

import secrets
import time
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import asyncpg
import orjson
from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    MetaData,
    Select,
    String,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from app import sqlite_driver

# Explicit names make migrations stable: every constraint can be dropped by name.
CONSTRAINT_NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

ID_LENGTH = 32
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _CROCKFORD for low in _CROCKFORD]  # two digits at a time: every request asks
_SHIFTS = range(120, -1, -10)

# What a database that cannot be reached, or that goes away, may raise: asyncpg's own errors and the
# system's come through as they are while a connection is opened.
DATABASE_AWAY = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

Sessions = async_sessionmaker[AsyncSession]
Row = TypeVar("Row", bound="Base")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, on both databases. Refuses naive ones: they have no meaning here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: give it a time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """JSON: jsonb on PostgreSQL, text on SQLite."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(postgresql.JSONB() if dialect.name == "postgresql" else JSON())


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONSTRAINT_NAMES)
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy reads it from the class
        datetime: UtcDateTime(),
        dict[str, Any]: Json(),
        list[Any]: Json(),
        str: String(),
    }


def new_id(prefix: str) -> str:
    """A new opaque id such as "mem_01k9xv3m8qf7w2c5r1t0abcdex": 48 bits of time, then 80 random ones.

    Ids of one kind sort by age, so a page cursor is an id and new rows land at the end of the index.
    """
    return _written(prefix, _numbers.next())


def oldest_id(prefix: str, at: datetime) -> str:
    """The smallest id that `new_id` could have given at this moment: ids sort by age."""
    return _written(prefix, int(at.timestamp() * 1000) << 80)


def _written(prefix: str, number: int) -> str:
    return f"{prefix}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"


class _Numbers:
    """Numbers of 128 bits: milliseconds, then random bits; in one process each is above the one before."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
        if number <= self._last:  # the same millisecond: lines of one story must keep their order
            # Beyond what a statement counts up in the last digits of its lines' ids (`passes/trace.py`).
            number = self._last + (1 << 20) + secrets.randbits(40)
        self._last = number
        return number


_numbers = _Numbers()


def open_engine(database_url: str) -> AsyncEngine:
    """An engine for "sqlite:///path/to/file.db" or "postgresql://user:password@host/name"."""
    if database_url.startswith("sqlite"):
        return sqlite_driver.create_write_engine(database_url, json_serializer=_to_json)
    url = make_url(database_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(
        url,
        pool_size=30,
        max_overflow=0,  # what overflows is closed again at once, and opening one costs five transactions
        hide_parameters=True,  # names and phones, in the text of every error
        json_serializer=_to_json,
        connect_args={
            "server_settings": {
                "application_name": "passbell",
                "statement_timeout": "15000",
                "lock_timeout": "5000",
                "idle_in_transaction_session_timeout": "10000",
            }
        },
    )
    # Not pool_pre_ping: with asyncpg it is three round trips before every transaction.
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _to_json(value: Any) -> str:
    """Ten times as fast as the standard library's, and lists of thousands of rows are JSON values here."""
    return orjson.dumps(value).decode()


def _refuse_closed(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """Make the pool open another connection in place of one the server has closed: a restart, a failover.

    asyncpg hears of it when it happens, while the connection lies in the pool.
    """
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError("the server has closed this connection")


def open_read_engine(database_url: str, *, for_reports: bool = False) -> AsyncEngine:
    """An engine for what only reads: pages, device endpoints, lists. On PostgreSQL one like any other.

    On SQLite it waits for no writer, and each transaction sees one moment. `for_reports`: long statements
    run in threads there, so that the event loop goes on.
    """
    if database_url.startswith("sqlite"):
        return sqlite_driver.create_read_engine(database_url, in_threads=for_reports)
    return open_engine(database_url)


def open_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions that keep loaded attributes readable after commit (pages render them)."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def locked(session: AsyncSession, query: Select[Row]) -> Row:
    """The one row a query finds, as it is now and ours alone until commit.

    `populate_existing`: what this session read before it had the lock may be out of date.

    Raises sqlalchemy.exc.NoResultFound when there is none.
    """
    result = await session.scalars(query.with_for_update(), execution_options={"populate_existing": True})
    return result.one()


def upsert(session: AsyncSession, table: type[Base]) -> "postgresql.Insert":
    """An INSERT that knows ON CONFLICT, in this session's dialect.

    Both dialects offer the same `.on_conflict_do_update(index_elements=, set_=)` and `.excluded`.
    """
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return cast("postgresql.Insert", sqlite.insert(table))
