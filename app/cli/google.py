"""`passbell google`: what is said to everybody who holds a pass in Google Wallet."""

from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, show, table
from app.clock import utc_now
from app.passes import class_messages
from app.passes.class_messages import Wording
from app.passes.models import ClassMessage

google_app = typer.Typer(help="Tell all who hold the pass in Google Wallet.", no_args_is_help=True)


@google_app.command("message")
def message(
    text: Annotated[list[str], typer.Argument(help="ru=..., en=...: the same words by language.")],
    header: Annotated[str | None, typer.Option(help="Above the text. Default: the programme's name.")] = None,
    template: Annotated[str | None, typer.Option(help="Only to passes of this template.")] = None,
    silent: Annotated[bool, typer.Option("--silent", help="Show it on the card; let no phone ring.")] = False,
    until: Annotated[
        datetime | None, typer.Option(help="When it leaves the card, in UTC. Default: 30 days.")
    ] = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Queue a message: one call to Google, however many hold the pass."""
    now = utc_now()
    wording = Wording(
        texts=_by_language(text),
        header=header,
        asks_to_ring=not silent,
        shown_until=until.replace(tzinfo=now.tzinfo) if until else None,
    )

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        made = await class_messages.create(session, owner, wording, template=template, by="cli", now=now)
        return [_shown(each) for each in made]

    rows = carry_out(work, class_messages.BadClassMessage, class_messages.NoClass)
    show(rows, table(rows, ("id", "class_id", "state")), as_json=as_json)


@google_app.command("messages")
def messages(program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the messages and what became of them, newest first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        query = (
            select(ClassMessage)
            .where(ClassMessage.program_id == owner.id)
            .order_by(ClassMessage.id.desc())
            .limit(100)
        )
        return [_shown(each) for each in await session.scalars(query)]

    rows = carry_out(work)
    show(rows, table(rows, ("id", "state", "notify", "why", "holders", "sent_at", "text")), as_json=as_json)


def _by_language(pairs: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for pair in pairs:
        language, equals, words = pair.partition("=")
        if not equals or not 2 <= len(language) <= 8:
            raise typer.BadParameter(f'{pair!r} names no language: write it like "en=Free cocoa on Friday"')
        texts[language] = words
    return texts


def _shown(message: ClassMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "class_id": message.class_id,
        "text": message.texts[message.language],
        "state": message.state,
        "notify": message.notify,
        "why": message.why,
        "holders": message.holders,
        "sent_at": message.sent_at,
    }
