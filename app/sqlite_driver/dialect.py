"""SQLAlchemy's SQLite dialect over this package's connections, and the engines made of it."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only

from app.sqlite_driver.connections import Database, ReadConnection, WriteConnection

Connection = WriteConnection | ReadConnection
JsonSerializer = Callable[[Any], str]

DRIVER = "passbell"
READERS_KEPT = 8
READERS_MAX = 64
REPORT_THREADS = 2


class Dialect(SQLiteDialect_pysqlite):
    """SQLite whose connections say when they begin, and only there wait for anybody."""

    driver = DRIVER
    is_async = True
    has_terminate = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[AsyncAdaptedQueuePool]:
        return AsyncAdaptedQueuePool

    def on_connect(self) -> Any:
        return None

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        open_connection: Callable[[], Connection] = cparams["open_connection"]
        return open_connection()

    def do_begin(self, dbapi_connection: Any) -> None:
        if not dbapi_connection.autocommit:
            dbapi_connection.begin()

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.close()  # never waits

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "SERIALIZABLE"

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        return "SERIALIZABLE"

    def get_isolation_level_values(self, dbapi_connection: Any) -> Any:
        return ["AUTOCOMMIT", "SERIALIZABLE"]

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return dbapi_conn.autocommit


_databases: WeakKeyDictionary[Engine, Database] = WeakKeyDictionary()

registry.register(f"sqlite.{DRIVER}", __name__, Dialect.__name__)


def create_write_engine(database_url: str, *, json_serializer: JsonSerializer = json.dumps) -> AsyncEngine:
    """An engine whose transactions BEGIN IMMEDIATE, take turns, and COMMIT in groups."""
    url, path = _file(database_url)
    database = Database(path)
    # A virtual connection weighs nothing: how many wait for a turn is for the server to limit.
    engine = create_async_engine(
        url,
        pool_size=0,
        hide_parameters=True,
        json_serializer=json_serializer,
        connect_args={"open_connection": database.connect},
    )

    _databases[engine.sync_engine] = database

    @event.listens_for(engine.sync_engine, "engine_disposed")
    def close(_engine: Engine) -> None:  # pyright: ignore[reportUnusedFunction]
        await_only(database.close())

    return engine


def database_of(engine: AsyncEngine) -> Database:
    """The connections behind an engine that `create_write_engine` made."""
    return _databases[engine.sync_engine]


def create_read_engine(database_url: str, *, in_threads: bool = False) -> AsyncEngine:
    """An engine that only reads and waits for no writer; each transaction sees one moment.

    `in_threads`: for statements that take more than a few milliseconds, at the price of 0.1 ms each.
    """
    url, path = _file(database_url)
    thread = ThreadPoolExecutor(REPORT_THREADS, "sqlite-report") if in_threads else None
    return create_async_engine(
        url,
        pool_size=READERS_KEPT,
        max_overflow=READERS_MAX - READERS_KEPT,
        hide_parameters=True,
        connect_args={"open_connection": partial(ReadConnection, path, thread)},
    )


def _file(database_url: str) -> tuple[URL, str]:
    url = make_url(database_url).set(drivername=f"sqlite+{DRIVER}")
    if not url.database or url.database == ":memory:":
        raise ValueError(f"{database_url!r}: give SQLite a file, sqlite:///data/passbell.db")
    return url, os.path.abspath(url.database)
