"""`passbell source` and `passbell inbox`: who reports to the programme, and what became of the reports."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, fail, show, table
from app.clock import utc_now
from app.crm import BadSourceSettings, Crm
from app.crm.known import CRMS
from app.i18n import Texts, load_texts
from app.inbox import handle, reasons, sources
from app.inbox.models import InboundEvent, Source
from app.settings import read_settings
from app.web.crm_webhooks import address_of
from app.wiring import TEXTS, load_secret_key

source_app = typer.Typer(help="Connect CRMs, shops and tills.", no_args_is_help=True)
inbox_app = typer.Typer(help="See what sources delivered; handle it once more.", no_args_is_help=True)

WhichSource = Annotated[str, typer.Argument(help="src_..., or its slug.")]
Secret = Annotated[str | None, typer.Option(help="The vendor's secret; default: a new one is made.")]
ApiToken = Annotated[str | None, typer.Option(help="To ask the source back: HubSpot, Kommo.")]


@source_app.command("add")
def add(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(CRMS)}.")],
    slug: Annotated[str, typer.Argument(help="Its name in the address /hooks/{slug}.")],
    settings: Annotated[Path | None, typer.Option(help="A JSON file: see docs/how-to/crm.md.")] = None,
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    secret: Secret = None,
    api_token: ApiToken = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Connect a source; print its address and its secret, which is shown this once."""
    crm, given, key = _crm(kind), _settings(settings), load_secret_key(read_settings())

    async def work(session: AsyncSession) -> tuple[Source, str]:
        owner = await program_of(session, program)
        return await sources.add(
            session,
            key,
            owner.id,
            crm,
            kind=kind,
            slug=slug,
            name=name,
            settings=given,
            secret=secret,
            api_token=api_token,
            now=utc_now(),
        )

    source, fresh = carry_out(work, sources.BadSource, sources.SlugTaken, BadSourceSettings)
    _show_secret(source, fresh, as_json=as_json)


@source_app.command("list")
def list_(program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the sources, oldest first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        return [_source(each) for each in await sources.list_sources(session, owner.id)]

    rows = carry_out(work)
    show(rows, table(rows, ("id", "kind", "slug", "name", "state")), as_json=as_json)


@source_app.command("rotate")
def rotate(
    which: WhichSource,
    secret: Secret = None,
    api_token: ApiToken = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Give a source a new secret and print it; the old one is good for one more day."""
    key = load_secret_key(read_settings())

    async def work(session: AsyncSession) -> tuple[Source, str]:
        owner = await program_of(session, program)
        source = await sources.source_by_id(session, owner.id, which)
        fresh = await sources.rotate(
            session, key, source, CRMS[source.kind], secret=secret, api_token=api_token, now=utc_now()
        )
        return source, fresh

    source, fresh = carry_out(work, sources.UnknownSource, sources.BadSource)
    _show_secret(source, fresh, as_json=as_json)


@inbox_app.command("list")
def list_inbox(
    state: Annotated[str | None, typer.Option(help="received, handled or rested.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first."""
    texts = load_texts(TEXTS)

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        query = select(InboundEvent).where(InboundEvent.program_id == owner.id)
        if state is not None:
            query = query.where(InboundEvent.state == state)
        rows = await session.scalars(query.order_by(InboundEvent.id.desc()).limit(limit))
        return [_event(row, texts, owner.language) for row in rows]

    rows = carry_out(work)
    show(rows, table(rows, ("id", "received_at", "state", "reason", "text")), as_json=as_json)


@inbox_app.command("show")
def show_event(
    event_id: Annotated[str, typer.Argument(help="inb_..., as `passbell inbox list` shows it.")],
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a delivery as it came."""
    texts = load_texts(TEXTS)

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        event = await handle.event_by_id(session, owner.id, event_id)
        return _event(event, texts, owner.language) | {
            "url": event.url,
            "headers": event.headers,
            "body": event.body.decode("utf-8", "replace"),
            "details": event.details,
        }

    data = carry_out(work, handle.UnknownInboundEvent)
    words = f"{data['id']}  {data['state']}  {data['text'] or ''}\n\n{data['url']}\n{data['body']}"
    show(data, words, as_json=as_json)


@inbox_app.command("replay")
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids; none: all that rest.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only those that rest for this reason.")] = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Handle deliveries that rest once more."""

    async def work(session: AsyncSession) -> int:
        owner = await program_of(session, program)
        if not ids:
            return await handle.replay_all(session, owner.id, reason=reason)
        return len([await handle.replay(session, owner.id, each) for each in ids])

    count = carry_out(work, handle.UnknownInboundEvent, handle.NotReplayable)
    show({"replayed": count}, f"{count} deliveries are handled again", as_json=as_json)


def _crm(kind: str) -> Crm:
    if kind not in CRMS:
        fail(f"no kind of source {kind}: there are {', '.join(CRMS)}")
    return CRMS[kind]


def _settings(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        fail(f"{path}: {error}")


def _show_secret(source: Source, secret: str, *, as_json: bool) -> None:
    address = address_of(read_settings().public_url, source, secret)
    data = _source(source) | {"address": address, "secret": secret}
    show(data, f"{source.slug} delivers to {address}\nits secret is    {secret}", as_json=as_json)


def _source(source: Source) -> dict[str, Any]:
    names = ("id", "kind", "slug", "name", "state", "created_at")
    return {name: getattr(source, name) for name in names}


def _event(event: InboundEvent, texts: Texts, language: str) -> dict[str, Any]:
    text = reasons.text_of(texts, language, event.reason, event.details) if event.reason else None
    names = ("id", "source_id", "event_key", "state", "reason", "attempts", "received_at", "handled_at")
    return {name: getattr(event, name) for name in names} | {"text": text}
