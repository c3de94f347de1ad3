"""The command `passbell` and its parts."""

import gc

import typer

from app.cli.accounts import account_app
from app.cli.api_keys import key_app
from app.cli.audit import audit_app
from app.cli.bitrix24 import bitrix24_app
from app.cli.campaigns import campaign_app
from app.cli.database import migrate
from app.cli.demo import demo_command
from app.cli.doctor import doctor_command
from app.cli.email import email_app
from app.cli.google import google_app
from app.cli.inbox import inbox_app, source_app
from app.cli.jobs import jobs_app
from app.cli.openapi import openapi
from app.cli.passes import pass_app
from app.cli.programs import program_app
from app.cli.reconcile import reconcile
from app.cli.rules import rule_app
from app.cli.segments import segment_app
from app.cli.serve import health_command, serve_command, worker_command
from app.cli.settings import settings_app
from app.cli.template import template_app
from app.cli.users import user_app
from app.cli.webhooks import webhook_app
from app.settings import BadSettings

app = typer.Typer(
    name="passbell",
    help="Wallet passes that ring: loyalty cards kept true to the balance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its traceback prints local variables, secrets among them
)
STAYING = ("demo", "serve", "worker")  # they collect garbage from when they are ready


@app.callback()
def begin(context: typer.Context) -> None:
    """Run before every command."""
    if context.invoked_subcommand not in STAYING:
        gc.enable()


app.command("demo")(demo_command)
app.command("serve")(serve_command)
app.command("worker")(worker_command)
app.command("health")(health_command)
app.add_typer(program_app, name="program")
app.add_typer(source_app, name="source")
app.add_typer(inbox_app, name="inbox")
app.add_typer(webhook_app, name="webhook")
app.add_typer(bitrix24_app, name="bitrix24")
app.add_typer(jobs_app, name="jobs")
app.add_typer(user_app, name="user")
app.add_typer(audit_app, name="audit")
app.add_typer(key_app, name="key")
app.add_typer(account_app, name="account")
app.add_typer(pass_app, name="pass")
app.add_typer(campaign_app, name="campaign")
app.add_typer(segment_app, name="segment")
app.add_typer(rule_app, name="rule")
app.add_typer(google_app, name="google")
app.add_typer(email_app, name="email")
app.add_typer(template_app, name="template")
app.add_typer(settings_app, name="settings")
app.command("migrate")(migrate)
app.command("doctor")(doctor_command)
app.command("reconcile")(reconcile)
app.command("openapi")(openapi)


def main() -> None:
    """The entry point of the installed command."""
    try:
        app()
    except BadSettings as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None
