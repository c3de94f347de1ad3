"""The database every test gets: a fresh, migrated one of each kind.

    async def test_...(session): ...          once on SQLite, once on PostgreSQL

SQLite is a copy of a migrated file; PostgreSQL is created from a migrated template, on the server at
PASSBELL_TEST_POSTGRES_URL or 127.0.0.1:5432. Without one those tests are skipped, except in CI (CI=true).
"""

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app import migrations
from app.db import Sessions, open_engine, open_sessions

POSTGRES_URL = os.environ.get("PASSBELL_TEST_POSTGRES_URL")
POSTGRES = make_url(POSTGRES_URL or "postgresql://postgres@127.0.0.1:5432/postgres")
RUN = f"passbell_test_{secrets.token_hex(4)}"  # of this process: pytest-xdist has several


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database; a test for one only overrides it: parametrize("database", ["sqlite"])."""
    return request.param


@pytest.fixture
def database_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh, migrated database; gone after the test."""
    if database == "sqlite":
        path = tmp_path / "passbell.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    name = f"{RUN}_{secrets.token_hex(4)}"
    template = request.getfixturevalue("postgres_template")
    _on_server(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield _text(POSTGRES.set(database=name))
    _on_server(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return open_sessions(engine)


@pytest.fixture
async def session(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A session in a transaction that the test commits if others must see it."""
    async with sessions() as session:
        yield session


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    if not _postgres_answers():
        if os.environ.get("CI") == "true" or POSTGRES_URL:
            pytest.fail(f"PostgreSQL does not answer at {POSTGRES.host}:{POSTGRES.port}")
        pytest.skip("no PostgreSQL: set PASSBELL_TEST_POSTGRES_URL to run these tests")
    name = f"{RUN}_template"
    _on_server(f'CREATE DATABASE "{name}"')
    _migrate(_text(POSTGRES.set(database=name)))
    yield name
    _on_server(f'DROP DATABASE "{name}" WITH (FORCE)')


def _postgres_answers() -> bool:
    try:
        socket.create_connection((POSTGRES.host or "127.0.0.1", POSTGRES.port or 5432), timeout=2).close()
    except OSError:
        return False
    return True


def _on_server(statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(_text(POSTGRES))
        await connection.execute(statement)
        await connection.close()

    _run(execute())


def _migrate(database_url: str) -> None:
    async def upgrade() -> None:
        engine = open_engine(database_url)
        await migrations.upgrade(engine)
        await engine.dispose()

    _run(upgrade())


def _run(work: Coroutine[None, None, None]) -> None:
    # On a thread of its own: a fixture may be set up while another's loop runs.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
