"""`passbell webhook`: who hears of what happens."""

from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, show, table
from app.clock import utc_now
from app.settings import read_settings
from app.webhooks import endpoints
from app.webhooks.models import WebhookEndpoint
from app.webhooks.types import TYPES
from app.wiring import load_secret_key

webhook_app = typer.Typer(help="Tell other systems what happens.", no_args_is_help=True)

WhichEndpoint = Annotated[str, typer.Argument(help="whe_..., as `passbell webhook list` shows it.")]


@webhook_app.command("add")
def add(
    url: Annotated[str | None, typer.Argument(help="https://...; none: the events are fetched.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help=f"May be repeated: {', '.join(TYPES)}. Default: all.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Add an endpoint; print its signing secret, which is shown this once."""
    settings = read_settings()
    key = load_secret_key(settings)

    async def work(session: AsyncSession) -> tuple[WebhookEndpoint, str]:
        owner = await program_of(session, program)
        return await endpoints.add(
            session,
            key,
            owner.id,
            url=url,
            event_types=event or ["*"],
            description=description[:128],
            may_be_plain=settings.webhooks_may_be_private,
            now=utc_now(),
        )

    endpoint, secret = carry_out(work, endpoints.BadEndpoint)
    words = f"{endpoint.id} hears of {', '.join(endpoint.event_types)}\nits secret is {secret}"
    show(_shown(endpoint) | {"secret": secret}, words, as_json=as_json)


@webhook_app.command("list")
def list_(program: ProgramOption = None, as_json: AsJson = False) -> None:
    """List the endpoints, oldest first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner = await program_of(session, program)
        return [_shown(each) for each in await endpoints.list_endpoints(session, owner.id)]

    rows = carry_out(work)
    columns = ("id", "state", "url", "event_types", "failing_since", "disabled_because")
    show(rows, table(rows, columns), as_json=as_json)


@webhook_app.command("rotate")
def rotate(which: WhichEndpoint, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Give an endpoint a new secret; for a day deliveries carry both signatures."""
    key = load_secret_key(read_settings())

    async def work(session: AsyncSession) -> str:
        owner = await program_of(session, program)
        endpoint = await endpoints.by_id(session, owner.id, which)
        return await endpoints.rotate(session, key, endpoint, now=utc_now())

    secret = carry_out(work, endpoints.UnknownEndpoint)
    show({"id": which, "secret": secret}, secret, as_json=as_json)


@webhook_app.command("enable")
def enable(which: WhichEndpoint, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Put a disabled endpoint back in use; what waited for it is delivered."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        owner = await program_of(session, program)
        endpoint = await endpoints.by_id(session, owner.id, which)
        settings = read_settings()
        return _shown(
            await endpoints.change(
                session,
                endpoint,
                state="active",
                may_be_plain=settings.webhooks_may_be_private,
                now=utc_now(),
            )
        )

    row = carry_out(work, endpoints.UnknownEndpoint, endpoints.BadEndpoint)
    show(row, f"{row['id']} is {row['state']}", as_json=as_json)


@webhook_app.command("resend")
def resend(
    delivery_id: Annotated[str, typer.Argument(help="whd_..., from GET /api/v1/webhooks/deliveries.")],
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Deliver an event once more."""

    async def work(session: AsyncSession) -> str:
        owner = await program_of(session, program)
        return (await endpoints.resend(session, owner.id, delivery_id, now=utc_now())).id

    sent = carry_out(work, endpoints.UnknownDelivery)
    show({"delivery": sent}, f"{sent} is on its way again", as_json=as_json)


def _shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "event_types": " ".join(endpoint.event_types),
        "description": endpoint.description,
        "state": endpoint.state,
        "failing_since": endpoint.failing_since,
        "disabled_because": endpoint.disabled_because,
    }
