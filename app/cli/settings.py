"""`passbell settings`: what can be set, written from the class itself."""

import inspect
import re
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.cli.output import AsJson, fail, show
from app.settings import PREFIX, Settings

settings_app = typer.Typer(help="What can be set.", no_args_is_help=True)

HEAD = """\
# Passbell's settings: copy this file to .env and fill in what you need.
# Written by `passbell settings example`.
# Every variable may instead be given as a file: PASSBELL_SECRET_KEY_FILE=/run/secrets/key
"""


@settings_app.command("example")
def example(
    output: Annotated[Path, typer.Option(help="The file to write; - prints it.")] = Path(".env.example"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if the file is old.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write .env.example: every variable with its meaning and default."""
    text = example_text()
    if str(output) == "-":
        typer.echo(text, nl=False)
        return
    current = output.exists() and output.read_text("utf-8") == text
    if check and not current:
        fail(f"{output} is not what the settings are: run `passbell settings example`")
    if not check:
        output.write_text(text, "utf-8")
    show({"file": str(output), "current": True}, f"{output} is current", as_json=as_json)


def example_text() -> str:
    """The text of .env.example: sections and variables in the class's order, every one commented out."""
    lines = [HEAD]
    for section, names in _sections():
        lines.append(f"# --- {section} ---")
        lines += [line for name in names for line in _variable(name, Settings.model_fields[name])]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _sections() -> list[tuple[str, list[str]]]:
    """The fields by the section they stand under in the class's source."""
    sections: list[tuple[str, list[str]]] = []
    for line in inspect.getsource(Settings).splitlines():
        if heading := re.fullmatch(r"    # --- (.+) ---", line):
            sections.append((heading[1], []))
        elif (field := re.match(r"    (\w+):", line)) and field[1] in Settings.model_fields:
            sections[-1][1].append(field[1])
    return sections


def _variable(name: str, field: FieldInfo) -> list[str]:
    described = [f"# {field.description}"] if field.description else []
    default = field.get_default(call_default_factory=True, validated_data={})
    return [*described, f"#{PREFIX}{name.upper()}={_written(default)}"]


def _written(default: Any) -> str:
    if default is None or default == [] or isinstance(default, SecretStr):
        return ""
    if isinstance(default, list):
        return ",".join(str(each) for each in cast("list[object]", default))
    return str(default).lower() if isinstance(default, bool) else str(default)
