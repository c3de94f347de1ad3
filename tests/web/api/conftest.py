"""The API as a client sees it: the real application over ASGI, on a fresh database of each kind."""

from collections.abc import AsyncIterator, Callable
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

Client = Callable[..., httpx2.AsyncClient]


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
async def client(app: FastAPI, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app),
        base_url="http://test/api/v1",
        headers={"Authorization": f"Bearer {key}"},
    ) as client:
        yield client
