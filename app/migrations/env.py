"""Alembic's entry: the same history on SQLite and PostgreSQL, over the program's own engine."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection

from app.db import open_engine
from app.migrations.models import Base
from app.settings import read_settings

NOT_OURS = "pgqueuer"  # the work engine's tables have a migration, but no models


def _is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    return not (kind == "table" and (name or "").startswith(NOT_OURS))


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        user_module_prefix="app.db.",
        include_object=_is_ours,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run() -> None:
    engine = open_engine(read_settings().database_url)
    async with engine.begin() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


# `app.migrations.run` hands over a connection of its own; the alembic command line does not.
if (given := context.config.attributes.get("connection")) is not None:
    _migrate(given)
else:
    asyncio.run(_run())
