"""The pool on PostgreSQL: what the server closed while nobody used it is never handed out."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import POSTGRES

pytestmark = pytest.mark.parametrize("database", ["postgresql"])

END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"


async def test_connections_the_server_closed_are_replaced_without_an_error(engine: AsyncEngine) -> None:
    connections = [await engine.connect() for _ in range(3)]
    ended = [asyncio.Event() for _ in connections]
    for connection, end in zip(connections, ended, strict=True):
        raw = await connection.get_raw_connection()
        raw.driver_connection.add_termination_listener(lambda _connection, end=end: end.set())
        await connection.close()

    server = await asyncpg.connect(POSTGRES.render_as_string(hide_password=False))
    await server.execute(END, engine.url.database)
    await server.close()
    await asyncio.wait_for(asyncio.gather(*(end.wait() for end in ended)), timeout=10)

    for _ in range(3):
        async with engine.begin() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
