"""The database as commands use it, and `passbell migrate`."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import typer
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app import migrations
from app.cli.output import AsJson, fail, show
from app.db import open_engine, open_sessions
from app.members.models import Program
from app.settings import read_settings

Result = TypeVar("Result")
ProgramOption = Annotated[
    str | None,
    typer.Option("--program", help="The programme's slug; not needed where there is only one."),
]


def carry_out(work: Callable[[AsyncSession], Awaitable[Result]], *refusals: type[Exception]) -> Result:
    """Do the work in one transaction on the database of the settings. A refusal ends the command with 1."""

    async def run() -> Result:
        async with _database() as session:
            return await work(session)

    try:
        return asyncio.run(run())
    except refusals as refusal:
        fail(str(refusal))
    except (OperationalError, OSError) as error:
        fail(f"the database cannot be used ({_reason(error)}): check PASSBELL_DATABASE_URL")


@asynccontextmanager
async def _database() -> AsyncGenerator[AsyncSession]:
    """A session on a database at the newest revision; a new one is brought there first."""
    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database_url)
    try:
        if await migrations.is_empty(engine):
            await migrations.upgrade(engine)
        elif not await migrations.is_current(engine):
            fail("the database is not at the newest revision: run `passbell migrate`")
        async with open_sessions(engine).begin() as session:
            yield session
    finally:
        await engine.dispose()


def _reason(error: OperationalError | OSError) -> str:
    return str(error.orig if isinstance(error, OperationalError) else error)


async def program_of(session: AsyncSession, slug: str | None) -> Program:
    """The programme with this slug, or the only one. Ends the command where that is not clear."""
    programs = (await session.scalars(select(Program).order_by(Program.slug))).all()
    if slug is None and len(programs) == 1:
        return programs[0]
    found = next((program for program in programs if program.slug == slug), None)
    if found is not None:
        return found
    there_are = ", ".join(program.slug for program in programs) or "none yet"
    wanted = "say which programme with --program" if slug is None else f"there is no programme {slug}"
    fail(f"{wanted}; there are: {there_are}")


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if there is something to do.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to the newest revision."""
    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    current = asyncio.run(_migrate(settings.database_url, only_check=check))
    said = (
        "the database is at the newest revision"
        if current
        else "the database is behind: run `passbell migrate`"
    )
    show({"current": current}, said, as_json=as_json)
    if not current:
        raise typer.Exit(1)


async def _migrate(database_url: str, *, only_check: bool) -> bool:
    engine = open_engine(database_url)
    try:
        if not only_check:
            await migrations.upgrade(engine)
        return await migrations.is_current(engine)
    finally:
        await engine.dispose()
