"""passbell template: check, render and begin pass templates. Needs no database and no certificate."""

import json
import re
import shutil
from dataclasses import asdict
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import orjson
import typer

from app.wallets.apple.compile import compile_pass
from app.wallets.content import Loss, PassIdentity
from app.wallets.google.compile import Ids, compile_class, compile_object
from app.wallets.google.images import HostedImages
from app.wallets.google.losses import losses
from app.wallets.lint import Problem, check, check_folder
from app.wallets.templates import PassTemplate, TemplateError, load_template

template_app = typer.Typer(help="Check, render and begin pass templates.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="The template's folder, such as pass_templates/coffee.")]

Wallet = Literal["apple", "google"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# An unsigned pass opens on no phone, so it needs no real identity.
_IDENTITY = PassIdentity(
    pass_type_identifier="pass.com.example.unsigned",  # noqa: S106 -- an identifier
    team_identifier="ABCDE12345",
    serial_number="sample",
    authentication_token="not-a-real-token",  # noqa: S106 -- for an unsigned sample
    web_service_url="https://example.com/apple",
)
_ISSUER_ID = "1234567890"  # no issuer's


@template_app.command("check")
def check_template(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Say what would not open, not show or not notify on a phone. Ends with 1 if there is an error."""
    problems = check_folder(folder)
    lost = _losses(folder)
    if as_json:
        found = [*map(asdict, problems), *({"level": "loss"} | asdict(each) for each in lost)]
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _print_problems(problems)
        for each in lost:
            typer.echo(f"not at {each.wallet}: {each.where}: {each.text}")
    if any(problem.level == "error" for problem in problems):
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"{folder.name}: good. See it unsigned: passbell template render {folder}")


@template_app.command("render")
def render_template(
    folder: Folder,
    language: Annotated[str, typer.Option(help="The member's language; else the template's first.")] = "",
    wallet: Annotated[Wallet, typer.Option(help="Whose pass.")] = "apple",
    out: Annotated[
        Path | None, typer.Option(help="The folder to write; else NAME.pass or .google here.")
    ] = None,
) -> None:
    """Write the sample's pass as a folder: unsigned for Apple, the class and object for Google."""
    template = _loaded(folder)
    wanted = language or template.languages[0]
    if wanted not in template.languages:
        _fail(f"--language {wanted}: the template speaks {', '.join(template.languages)}")
    target = out or Path(f"{template.name}.{'pass' if wallet == 'apple' else 'google'}")
    if target.exists() and not _was_rendered(target):
        _fail(f"--out {target}: is there and is no rendered pass; name another folder")

    render = _render_apple if wallet == "apple" else _render_google
    files = render(template, wanted)
    _write(target, files)

    _print_problems(check(template))
    sizes = ", ".join(
        f"{len(data)} bytes of {path}" for path, data in files.items() if path.endswith(".json")
    )
    typer.echo(f"{target}: {wanted}, {sizes}{', unsigned' if wallet == 'apple' else ''}.")
    if wallet == "apple":
        typer.echo("Open it in Apple's Pass Designer, or start the demo to see it on a phone: make demo")


def _render_apple(template: PassTemplate, language: str) -> dict[str, bytes]:
    """pass.json, pictures and string tables."""
    compiled = compile_pass(template, template.samples[language], _IDENTITY)
    pretty = orjson.dumps(orjson.loads(compiled.pass_json), option=orjson.OPT_INDENT_2)
    return {**template.static_files, **compiled.extra_files, "pass.json": pretty}


def _render_google(template: PassTemplate, language: str) -> dict[str, bytes]:
    """class.json, object.json and the pictures they name, by hash."""
    content, pictures = template.samples[language], HostedImages("https://example.com", {})
    ids = Ids(f"{_ISSUER_ID}.sample", f"{_ISSUER_ID}.{template.name}", totp_key=bytes(20))
    class_ = compile_class(
        template,
        content,
        class_id=ids.class_id,
        callback_url="https://example.com/google/callback",
        image_url=pictures.url,
    )
    object_ = compile_object(template, content, ids, image_url=pictures.url)
    bodies = {"class.json": class_, "object.json": object_}
    return {
        **{f"images/{digest}.png": data for digest, data in pictures.known().items()},
        **{name: orjson.dumps(body, option=orjson.OPT_INDENT_2) for name, body in bodies.items()},
    }


@template_app.command("new")
def new_template(
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits, - and _.")],
    inside: Annotated[Path, typer.Option("--in", help="The templates' folder.")] = Path("pass_templates"),
) -> None:
    """Begin a template: a small valid one, to change step by step."""
    if not _NAME.fullmatch(name):
        _fail(f"{name!r}: begin with a small letter and use small letters, digits, - and _")
    target = inside / name
    if target.exists():
        _fail(f"{target}: is there already; choose another name")
    with as_file(files("app.cli") / "new_template") as source:
        shutil.copytree(source, target)
    typer.echo(f"{target}: a small valid template. Next:")
    typer.echo(
        "  1. put your pictures into images/: icon 38x38 points, logo at most 160x50, each with @2x and @3x"
    )
    typer.echo("  2. change template.toml and locales/en.toml; add the names you use to sample.json")
    typer.echo(f"  3. passbell template check {target}")


def _loaded(folder: Path) -> PassTemplate:
    try:
        return load_template(folder)
    except TemplateError as error:
        _fail(str(error))


def _losses(folder: Path) -> tuple[Loss, ...]:
    """What Google does not show; nothing of a folder that cannot be loaded: its problem says why."""
    try:
        return losses(load_template(folder))
    except TemplateError:
        return ()


def _was_rendered(target: Path) -> bool:
    """Whether a folder is an earlier render, which may be replaced, and nobody's own work."""
    return _says(target / "pass.json", _IDENTITY.pass_type_identifier) or _says(
        target / "object.json", f"{_ISSUER_ID}.sample"
    )


def _says(path: Path, identifier: str) -> bool:
    try:
        tree = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(tree, dict) and identifier in tree.values()


def _write(target: Path, contents: dict[str, bytes]) -> None:
    if target.exists():
        shutil.rmtree(target)
    for path, data in contents.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)


def _print_problems(problems: list[Problem]) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
