"""`passbell program`: set up a programme from a file, and see which there are."""

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from app import migrations
from app.clock import utc_now
from app.db import open_engine, open_sessions
from app.enrolment.models import Form
from app.enrolment.programs import ProgramFileError, apply, load_program
from app.members.models import Program
from app.settings import Settings, read_settings
from app.wallets.templates import TemplateError, load_template

program_app = typer.Typer(help="Loyalty programmes.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON")]


@dataclass(frozen=True)
class Shown:
    id: str
    slug: str
    name: str
    template: str
    forms: list[str]  # their addresses


@program_app.command("apply")
def apply_command(
    file: Annotated[Path, typer.Argument(help="A TOML file; app/demo/programs/ has two to start from")],
    as_json: AsJson = False,
) -> None:
    """Create a programme with its tiers and form, or change what differs from the file."""
    try:
        wanted = load_program(file)
        settings = read_settings()
        load_template(settings.pass_templates_dir / wanted.program.template)
        shown = asyncio.run(_apply(settings, file))
    except (ProgramFileError, TemplateError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    _print([shown], as_json=as_json)


@program_app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """Every programme of this installation, with its forms' addresses."""
    _print(asyncio.run(_list(read_settings())), as_json=as_json)


async def _apply(settings: Settings, file: Path) -> Shown:
    engine = open_engine(settings.database_url)
    try:
        await migrations.upgrade(engine)
        async with open_sessions(engine).begin() as session:
            program = await apply(session, load_program(file), now=utc_now())
    finally:
        await engine.dispose()
    return next(each for each in await _list(settings) if each.id == program.id)


async def _list(settings: Settings) -> list[Shown]:
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine).begin() as session:
            programs = (await session.scalars(select(Program).order_by(Program.id))).all()
            forms = (await session.scalars(select(Form).order_by(Form.id))).all()
    finally:
        await engine.dispose()
    return [
        Shown(
            program.id,
            program.slug,
            program.name,
            program.template,
            [f"{settings.public_url}/join/{form.slug}" for form in forms if form.program_id == program.id],
        )
        for program in programs
    ]


def _print(programs: list[Shown], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in programs], ensure_ascii=False))
        return
    for each in programs:
        typer.echo(f"{each.slug}  {each.name}  ({each.id}, template {each.template})")
        for address in each.forms:
            typer.echo(f"  form: {address}")
