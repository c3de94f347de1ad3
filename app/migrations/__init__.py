"""The database's history, and how to bring a database to its newest state."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.migrations.models import Base as Base  # maps every table

LOCK_KEY = 7_217_331  # of PostgreSQL's advisory lock: any number that nobody else uses

# A migration, and the wait for another's, may take as long as it needs, whatever requests are allowed.
_UNHURRIED = text("SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)")
_ALONE = text("SELECT pg_advisory_xact_lock(:key)")


def config() -> Config:
    """Alembic's configuration, without its ini file: an installed wheel has none."""
    result = Config()
    result.set_main_option("script_location", str(Path(__file__).parent))
    return result


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database to the newest revision, in one transaction; others who start now wait for it."""

    def run(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":  # SQLite's writers take turns anyway
            connection.execute(_UNHURRIED)
            connection.execute(_ALONE, {"key": LOCK_KEY})
        here = config()
        here.attributes["connection"] = connection
        command.upgrade(here, "head")

    async with engine.begin() as connection:
        await connection.run_sync(run)


async def is_current(engine: AsyncEngine) -> bool:
    """Whether the database is at the newest revision."""

    return await _heads(engine) == set(ScriptDirectory.from_config(config()).get_heads())


async def is_empty(engine: AsyncEngine) -> bool:
    """Whether the database was never migrated."""
    return not await _heads(engine)


async def _heads(engine: AsyncEngine) -> set[str]:
    def read(connection: Connection) -> set[str]:
        return set(MigrationContext.configure(connection).get_current_heads())

    async with engine.connect() as connection:
        return await connection.run_sync(read)
