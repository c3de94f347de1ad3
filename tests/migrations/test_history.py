"""The history goes up, down and up again on both databases, and ends where the models are."""

import asyncio

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from app import migrations
from app.db import open_engine
from app.migrations.models import Base


def downgrade(connection: Connection) -> None:
    here = migrations.config()
    here.attributes["connection"] = connection
    command.downgrade(here, "base")


async def tables(engine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda c: inspect(c).get_table_names()))


async def test_down_and_up_again_gives_the_same_tables(engine):
    before = await tables(engine)
    async with engine.begin() as connection:
        await connection.run_sync(downgrade)

    assert await tables(engine) == {"alembic_version"}
    await migrations.upgrade(engine)
    assert await tables(engine) == before
    assert {"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "members"} <= before
    assert await migrations.is_current(engine)


async def test_processes_that_start_at_once_migrate_once(engine, database_url):
    before = await tables(engine)
    async with engine.begin() as connection:
        await connection.run_sync(downgrade)
    processes = [open_engine(database_url) for _ in range(4)]

    await asyncio.gather(*(migrations.upgrade(each) for each in processes))

    assert await tables(engine) == before
    for each in processes:
        await each.dispose()


async def test_the_migrations_make_exactly_the_models(engine):
    def differences(connection: Connection) -> list[object]:
        def is_ours(_object, name, kind, _reflected, _compare_to):
            return not (kind == "table" and name.startswith("pgqueuer"))

        context = MigrationContext.configure(
            connection, opts={"include_object": is_ours, "compare_type": True}
        )
        return compare_metadata(context, Base.metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
