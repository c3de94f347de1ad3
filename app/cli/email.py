"""`passbell email`: reports about letters, for the alias of a mail server, and where else they may go."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import bounces
from app.channels.bounces import UnreadableReport, read
from app.cli.database import carry_out
from app.cli.output import AsJson, fail, show
from app.clock import utc_now
from app.settings import read_settings
from app.wiring import load_secret_key, reports_address

email_app = typer.Typer(help="What bounced, and who complained.", no_args_is_help=True)


@email_app.command("address")
def address() -> None:
    """Print the address that takes reports over HTTP. It is secret: whoever knows it may stop letters."""
    settings = read_settings()
    typer.echo(reports_address(settings, load_secret_key(settings)))


@email_app.command("report")
def report(
    file: Annotated[Path | None, typer.Argument(help="The mail; without one, what is piped in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Note a bounce (RFC 3464) or a complaint (RFC 5965): the reader gets no more letters."""
    try:
        read_report = read(sys.stdin.buffer.read() if file is None else file.read_bytes())
    except (UnreadableReport, OSError) as error:
        fail(str(error))

    async def work(session: AsyncSession) -> bounces.Noted:
        return await bounces.note(
            session,
            read_report.message_id,
            read_report.kind,
            status=read_report.status,
            is_bad_address=read_report.is_bad_address,
            now=utc_now(),
        )

    noted = carry_out(work, bounces.UnknownLetter)
    so = "; its reader gets no more" if noted.is_suppressed else ""
    show(
        {"message_id": noted.message_id, "outcome": noted.outcome, "suppressed": noted.is_suppressed},
        f"{noted.message_id} {noted.outcome}{so}",
        as_json=as_json,
    )
