"""Reads a template's folder and refuses, by file and key, what cannot work."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from app.wallets.content import STANDARD_NAMES, PassContent, Value
from app.wallets.images import ImageError, StampArt, read_png
from app.wallets.templates.definition import Definition
from app.wallets.templates.model import PassTemplate, TemplateError
from app.wallets.templates.strings import AmbiguousText, pass_strings
from app.wallets.text import TextError, compile_text

FILE_OCTETS_MAX = 2_000_000  # of one image; a whole pass is 20-300 KB in practice
STAMPS_FOLDER = "stamps"
GOOGLE_FOLDER = "google"

_FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$")
_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$")


def load_templates(folder: Path) -> dict[str, PassTemplate]:
    """Every template in a folder, by name. Raises TemplateError for the first that cannot be used."""
    if not folder.is_dir():
        raise TemplateError(str(folder), "", "is no folder: set PASSBELL_PASS_TEMPLATES_DIR")
    return {
        each.name: load_template(each)
        for each in sorted(folder.iterdir())
        if each.is_dir() and not each.name.startswith((".", "_"))
    }


def load_template(folder: Path) -> PassTemplate:
    """Read one template folder, whole. Raises TemplateError naming the file, the key and the remedy."""
    definition = _definition(folder)
    texts = {language: _texts(folder, language) for language in definition.languages}
    samples = _samples(folder, definition.languages)
    template = PassTemplate(
        name=folder.name,
        definition=definition,
        texts=texts,
        static_files=_images(folder, definition.languages) | _strings(folder, texts),
        stamp_art=_stamp_art(folder) if definition.stamps else None,
        apple=_json_if_there(folder / "apple.json"),
        google=_json_if_there(folder / "google.json"),
        google_images={
            path.name: _image(folder, path) for path in _files_in(folder / "images" / GOOGLE_FOLDER)
        },
        samples=samples,
        names=STANDARD_NAMES | frozenset(name for sample in samples.values() for name in sample.values),
    )
    _check_expressions(folder, template)
    return template


def _definition(folder: Path) -> Definition:
    path = folder / "template.toml"
    raw = _toml(path)
    try:
        definition = Definition.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TemplateError(str(path), where, _remedy(first["type"], first["msg"])) from error
    for language in definition.languages:
        if not _LANGUAGE.match(language):
            raise TemplateError(str(path), "languages", f"{language!r} is not a language: write 'ru' or 'en'")
    return definition


def _remedy(kind: str, message: str) -> str:
    if kind == "missing":
        return "is required: add it"
    if kind == "extra_forbidden":
        return (
            "is not a known key: check its spelling, or put what one wallet has in apple.json or google.json"
        )
    return message


def _texts(folder: Path, language: str) -> dict[str, str]:
    path = folder / "locales" / f"{language}.toml"
    texts = _toml(path)
    for key, text in texts.items():
        if not isinstance(text, str):
            raise TemplateError(str(path), key, "must be a text in quotes")
        try:
            compile_text(text)
        except TextError as error:
            raise TemplateError(str(path), key, str(error), code=error.code) from error
    return cast("dict[str, str]", texts)


def _strings(folder: Path, texts: Mapping[str, Mapping[str, str]]) -> dict[str, bytes]:
    try:
        return pass_strings(texts)
    except AmbiguousText as error:
        raise TemplateError(str(folder / "locales"), "", str(error), code="ambiguous-text") from error


def _samples(folder: Path, languages: tuple[str, ...]) -> dict[str, PassContent]:
    path = folder / "sample.json"
    raw = _json(path)
    for key in ("values", "barcode", "country", "currency", "time_zone"):
        if key not in raw:
            raise TemplateError(
                str(path), key, "is required: the sample is what the template is checked with"
            )
    sample = PassContent(
        values={},
        barcode=str(raw["barcode"]),
        language=languages[0],
        country=str(raw["country"]),
        currency=str(raw["currency"]),
        time_zone=str(raw["time_zone"]),
    )
    values = cast("dict[str, Any]", raw["values"])
    return {
        language: replace(
            sample,
            language=language,
            values={name: _sample_value(path, name, value, language) for name, value in values.items()},
        )
        for language in languages
    }


def _sample_value(path: Path, name: str, value: Any, language: str) -> Value:
    """A scalar; a text by language where the sample has an object; a date where it looks like one."""
    if isinstance(value, dict):
        value = cast("dict[str, Any]", value).get(language)
    if isinstance(value, str) and _DATE.match(value):
        return datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise TemplateError(str(path), f"values.{name}", "must be a text, a whole number or null")


def _images(folder: Path, languages: tuple[str, ...]) -> dict[str, bytes]:
    images = folder / "images"
    files = {path.name: _image(folder, path) for path in _files_in(images)}
    for each in sorted(images.iterdir()) if images.is_dir() else ():
        if not each.is_dir() or each.name in (STAMPS_FOLDER, GOOGLE_FOLDER):
            continue
        if each.name not in languages:
            remedy = f"is neither a language of the template nor {STAMPS_FOLDER!r} or {GOOGLE_FOLDER!r}"
            raise TemplateError(str(each), "", remedy)
        files |= {f"{each.name}.lproj/{path.name}": _image(folder, path) for path in _files_in(each)}
    return files


def _stamp_art(folder: Path) -> StampArt:
    stamps = folder / "images" / STAMPS_FOLDER
    missing = [name for name in StampArt.FILES if not (stamps / name).is_file()]
    if missing:
        raise TemplateError(str(stamps), missing[0], "is needed to draw the stamps: add this picture")
    return StampArt(*(_image(folder, stamps / name) for name in StampArt.FILES))


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if not each.is_dir() and not each.name.startswith("."))


def _image(folder: Path, path: Path) -> bytes:
    if not _FILE_NAME.match(path.name):
        raise TemplateError(
            str(path),
            "",
            "has an unsafe name: use letters, digits, dots, @, - and _",
            code="unsafe-file-name",
        )
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        raise TemplateError(
            str(path), "", "is a link: copy the file into the folder", code="unsafe-file-name"
        )
    if path.suffix != ".png":
        raise TemplateError(str(path), "", "is not a .png file: convert it, or move it out of images/")
    data = path.read_bytes()
    if len(data) > FILE_OCTETS_MAX:
        raise TemplateError(str(path), "", f"has {len(data)} bytes; at most {FILE_OCTETS_MAX} are allowed")
    try:
        read_png(data)
    except ImageError as error:
        raise TemplateError(str(path), "", str(error), code="image-broken") from error
    return data


def _check_expressions(folder: Path, template: PassTemplate) -> None:
    """Compile every string of the template in every language, so that no pass can fail on one later."""
    for file, where, source in template.strings():
        for language in template.languages:
            _check_expression(folder / file, where, source, template, language)
    for language, texts in template.texts.items():
        for key in texts:
            path = folder / "locales" / f"{language}.toml"
            _check_expression(path, key, f"@{key}", template, language)


def _check_expression(path: Path, where: str, source: str, template: PassTemplate, language: str) -> None:
    try:
        template.text(source, language)
    except TextError as error:
        raise TemplateError(str(path), where, str(error), code=error.code) from error
    except KeyError as error:
        raise TemplateError(
            str(path),
            where,
            f"{source!r} is not in locales/{language}.toml: add the text there",
            code="unknown-text",
        ) from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise TemplateError(str(path), "", f"is not valid TOML: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(_read(path), object_pairs_hook=lambda pairs: _unique(path, pairs))
    except json.JSONDecodeError as error:
        raise TemplateError(str(path), "", f"is not valid JSON: {error}") from error
    if not isinstance(tree, dict):
        raise TemplateError(str(path), "", "must be a JSON object")
    return cast("dict[str, Any]", tree)


def _json_if_there(path: Path) -> dict[str, Any]:
    return _json(path) if path.exists() else {}


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TemplateError(str(path), twice, "is written twice: keep one of them", code="duplicate-key")
    return tree


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise TemplateError(str(path), "", "is missing: every template has one") from error
    except UnicodeDecodeError as error:
        raise TemplateError(str(path), "", "is not UTF-8: save it as UTF-8") from error
