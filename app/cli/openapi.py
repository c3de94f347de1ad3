"""`passbell openapi`: the API's description, as the server gives it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import AsJson, fail, show
from app.web.api.openapi import document


def openapi(
    output: Annotated[Path, typer.Option(help="The file to write; - prints it.")] = Path("docs/openapi.json"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if the file is old.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the OpenAPI document of the REST API."""
    text = document_text()
    if str(output) == "-":
        typer.echo(text, nl=False)
        return
    current = output.exists() and output.read_text("utf-8") == text
    if check and not current:
        fail(f"{output} is not what the API is: run `passbell openapi`")
    if not check:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, "utf-8")
    show({"file": str(output), "current": True}, f"{output} is current", as_json=as_json)


def document_text() -> str:
    """The document as it is committed: indented, so that a change can be read in a diff."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"
