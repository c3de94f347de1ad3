"""`passbell demo`: a loyalty programme live on simulated iPhones, in one process."""

import gc
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from app import logs
from app.demo.running import PORTS_TRIED, NoFreePort, run


def demo_command(
    port: Annotated[
        int, typer.Option(help="The port to listen on; a taken one moves on to the next.")
    ] = 8000,
    data: Annotated[Path, typer.Option(help="The folder of the demo's database and certificates.")] = Path(
        "data/demo"
    ),
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every request and job.")] = False,
) -> None:
    """See it live: a form, a till, a CRM and two iPhones. Needs no account, certificate or server."""
    logs.configure("info" if verbose else "warning", "auto" if verbose else "console")

    def tell(address: str, is_wanted_port: bool) -> None:
        gc.enable()
        if not is_wanted_port:
            typer.echo(f"Port {port} is taken; the next free one is used.")
        typer.echo(f"Passbell is ready: {address}")
        typer.echo("Join on the left phone, then earn points at the till. Ctrl-C ends it.")
        if open_page:
            webbrowser.open(address)

    try:
        uvloop.run(run(port=port, folder=data, on_ready=tell))
    except NoFreePort as error:
        typer.echo(f"Ports {port} to {port + PORTS_TRIED - 1} are all taken: choose another with --port.")
        raise typer.Exit(1) from error
    typer.echo("\nGoodbye.")
