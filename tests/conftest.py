"""The database every test gets: a fresh, migrated one of each kind.

    async def test_...(session): ...          once on SQLite, once on PostgreSQL

SQLite is a copy of a migrated file; PostgreSQL is one database of this process, emptied after each test, on
the server at PASSBELL_TEST_POSTGRES_URL or 127.0.0.1:5432. Without one those tests are skipped, except in
CI (CI=true).

    async def test_...(app, client, clock): ...     the whole application on such a database, at NOON
"""

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app import migrations, wiring
from app.db import Sessions, open_engine, open_sessions
from app.main import create_app
from app.settings import Settings
from app.simulators.world import World, simulated_world
from app.wallets.apple.dev_ca import DevelopmentCa
from app.wallets.apple.signing import files
from app.wallets.templates import load
from app.wiring import Services
from tests.make import NOON

POSTGRES_URL = os.environ.get("PASSBELL_TEST_POSTGRES_URL")
POSTGRES = make_url(POSTGRES_URL or "postgresql://postgres@127.0.0.1:5432/postgres")
# No test meets a public authority, and to load them all takes 20 ms a context. Our processes inherit it.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)
RUN = f"passbell_test_{secrets.token_hex(4)}"  # of this process: pytest-xdist has several


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """What every application reads at its start and no test changes: signing keys, texts, our templates."""
    shipped = Path(__file__).parent.parent / "pass_templates"
    read, read_ours = load.load_template, cache(load.load_template)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "load_pem_private_key", cache(files.load_pem_private_key))
        patch.setattr(wiring, "load_texts", cache(wiring.load_texts))
        patch.setattr(
            load,
            "load_template",
            lambda folder: (read_ours if folder.resolve().parent == shipped else read)(folder),
        )
        yield


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
    url = request.getfixturevalue("postgres_database")
    yield url
    _empty(url)


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


class ManualClock:
    """A clock that stands at NOON until a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def development_ca(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCa:
    """A CA and a pass type certificate that are valid at NOON."""
    return DevelopmentCa.open(
        tmp_path_factory.mktemp("ca"),
        pass_type_identifier="pass.org.passbell.test",
        team_identifier="TEST000000",
        now=NOON,
    )


@pytest.fixture
def app_settings(database_url: str, tmp_path: Path, development_ca: DevelopmentCa) -> Settings:
    """Settings of a demo that signs with the development CA and runs no jobs."""
    return Settings(
        mode="demo",
        public_url="http://test",
        database_url=database_url,
        data_dir=tmp_path / "data",
        worker=False,
        apple_certificate_path=development_ca.leaf.certificate_path,
        apple_private_key_path=development_ca.leaf.private_key_path,
        apple_wwdr_certificate_path=development_ca.wwdr.certificate_path,
        _env_file=None,
    )


@pytest.fixture
async def app(app_settings: Settings, clock: ManualClock) -> AsyncIterator[FastAPI]:
    """The application with its services open: app.state.services."""
    app = create_app(app_settings, clock=clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    """One migrated database for this process; each test leaves it empty, which is quicker than a new one."""
    if not _postgres_answers():
        if os.environ.get("CI") == "true" or POSTGRES_URL:
            pytest.fail(f"PostgreSQL does not answer at {POSTGRES.host}:{POSTGRES.port}")
        pytest.skip("no PostgreSQL: set PASSBELL_TEST_POSTGRES_URL to run these tests")
    _execute(_text(POSTGRES), f'CREATE DATABASE "{RUN}"')
    # Tests kill our processes, never the server: its own flushing to disk proves nothing here.
    _execute(_text(POSTGRES), f'ALTER DATABASE "{RUN}" SET synchronous_commit = off')
    url = _text(POSTGRES.set(database=RUN))
    _migrate(url)
    yield url
    _execute(_text(POSTGRES), f'DROP DATABASE "{RUN}" WITH (FORCE)')


def _postgres_answers() -> bool:
    try:
        socket.create_connection((POSTGRES.host or "127.0.0.1", POSTGRES.port or 5432), timeout=2).close()
    except OSError:
        return False
    return True


_EMPTY = """
    DO $$ DECLARE each text; BEGIN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid();
        SET LOCAL session_replication_role = replica;  -- no foreign key is looked at
        FOR each IN SELECT quote_ident(tablename) FROM pg_tables
            WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP EXECUTE 'DELETE FROM ' || each; END LOOP;
    END $$
"""


def _empty(database_url: str) -> None:
    """Leave no row and no connection of a test behind."""
    _execute(database_url, _EMPTY)


def _execute(database_url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(database_url)
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


@pytest.fixture
def services(app: FastAPI) -> Services:
    return app.state.services


@pytest.fixture(scope="session")
def world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the world's own CA is kept: its keys take half a second, so they are made once."""
    return tmp_path_factory.mktemp("world")


@pytest.fixture
async def world(world_folder: Path) -> AsyncIterator[World]:
    """Apple's push service and an SMS gateway, on real sockets; TLS makes them live today, not at NOON."""
    async with simulated_world(world_folder) as world:
        yield world
