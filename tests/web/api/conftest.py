"""The API as a client sees it: the real application over ASGI, on a fresh database of each kind."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from app.db import Sessions
from app.main import create_app
from app.members import api_keys
from app.members.models import Program
from app.settings import Settings
from tests.make import NOON, make_program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each fuzzed operation its own id: schemathesis makes one for all, and xdist runs one of an id."""
    for item in items:
        operation = item.name.partition("[")[2].removesuffix("]")
        if operation and item.id.params is None:
            item._id = item.id.with_params(operation)  # it has no setter


@pytest.fixture
async def app(database_url: str, tmp_path: Path) -> AsyncIterator[FastAPI]:
    settings = Settings(database_url=database_url, data_dir=tmp_path, worker=False, _env_file=None)
    app = create_app(settings, clock=lambda: NOON)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def program(app: FastAPI) -> Program:
    async with app.state.services.sessions.begin() as session:
        return await make_program(session)


@pytest.fixture
def sessions(app: FastAPI) -> Sessions:
    return app.state.services.sessions


@pytest.fixture
async def key(sessions: Sessions, program: Program) -> str:
    async with sessions.begin() as session:
        return (await api_keys.create_key(session, program.id, name="till", scopes=["*"], now=NOON))[1]


@pytest.fixture
def anyone(app: FastAPI) -> httpx2.AsyncClient:
    """A client without a key. The transport holds nothing that would need closing."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test/api/v1")


@pytest.fixture
async def client(anyone: httpx2.AsyncClient, key: str) -> httpx2.AsyncClient:
    """A client with a key that may do everything, and a new Idempotency-Key for every request."""

    async def name(request: httpx2.Request) -> None:
        request.headers.setdefault("Idempotency-Key", secrets.token_hex(12))

    anyone.headers["Authorization"] = f"Bearer {key}"
    anyone.event_hooks["request"] = [name]
    return anyone
