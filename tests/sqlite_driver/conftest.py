"""A small database file with one counter, opened by the program's own engine."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import open_engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "counter.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);"
        "CREATE TABLE part (id INTEGER PRIMARY KEY, counter_id INTEGER REFERENCES counter (id));"
        "INSERT INTO counter VALUES (1, 0);"
    )
    connection.close()
    return path


@pytest.fixture
async def engine(path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(f"sqlite:///{path}")
    yield engine
    await engine.dispose()
