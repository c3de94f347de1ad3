"""`passbell audit`: whether the log of what people did is whole."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import carry_out
from app.cli.output import AsJson, show
from app.staff import audit

audit_app = typer.Typer(help="Prove the log of what people did.", no_args_is_help=True)


@audit_app.command("verify")
def verify(
    known: Annotated[
        str | None, typer.Option(help="The hash of an earlier run: it must still be there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the whole chain of hashes; exit with 1 where an entry was changed or taken out.

    Note the hash down elsewhere: with it the next run sees whether the end was cut off.
    """

    async def work(session: AsyncSession) -> tuple[int, str]:
        return await audit.verify(session, known=known)

    entries, newest = carry_out(work, audit.BrokenChain)
    show(
        {"entries": entries, "hash": newest},
        f"{entries} entries, whole; newest hash {newest}",
        as_json=as_json,
    )
