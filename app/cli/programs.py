"""`passbell program`: set up a programme from a file, and see which there are."""

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import carry_out
from app.cli.output import AsJson, fail, show, table
from app.clock import utc_now
from app.enrolment.models import Form
from app.enrolment.programs import ProgramFileError, apply, load_program
from app.members.models import Program
from app.settings import read_settings
from app.wallets.templates import TemplateError, load_template

program_app = typer.Typer(help="Set up loyalty programmes.", no_args_is_help=True)

COLUMNS = ("slug", "name", "template", "form")


@program_app.command("apply")
def apply_file(
    file: Annotated[Path, typer.Argument(help="TOML; app/demo/programs/ holds two to start from.")],
    as_json: AsJson = False,
) -> None:
    """Create a programme with its tiers and form, or change what differs from the file."""
    try:
        wanted = load_program(file)
        load_template(read_settings().pass_templates_dir / wanted.program.template)
    except (ProgramFileError, TemplateError) as error:
        fail(str(error))

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        program = await apply(session, wanted, now=utc_now())
        return await _programs(session, program.id)

    programs = carry_out(work, ProgramFileError)
    show(programs, table(programs, COLUMNS), as_json=as_json)


@program_app.command("list")
def list_programs(as_json: AsJson = False) -> None:
    """Every programme, with the addresses of its forms."""
    programs = carry_out(_programs)
    show(programs, table(programs, COLUMNS), as_json=as_json)


async def _programs(session: AsyncSession, program_id: str | None = None) -> list[dict[str, Any]]:
    query = select(Program, Form).outerjoin(Form, Form.program_id == Program.id).order_by(Program.id, Form.id)
    if program_id is not None:
        query = query.where(Program.id == program_id)
    public_url = read_settings().public_url
    return [
        {
            "id": program.id,
            "slug": program.slug,
            "name": program.name,
            "template": program.template,
            "form": f"{public_url}/join/{form.slug}" if form else None,
        }
        for program, form in await session.execute(query)
    ]
