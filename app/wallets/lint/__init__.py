"""What would not open, not show or not notify on a phone, by name, before anything is signed."""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import orjson

from app.wallets.apple.compile import compile_pass
from app.wallets.content import PassIdentity
from app.wallets.lint.codes import check_barcodes, check_nfc
from app.wallets.lint.fields import check_fields
from app.wallets.lint.files import check_files
from app.wallets.lint.google import check_google
from app.wallets.lint.problem import Json, Level, Problem, error, warning
from app.wallets.lint.relevance import check_relevance, check_semantics
from app.wallets.lint.schemes import check_schemes
from app.wallets.lint.top_level import check_top_level
from app.wallets.templates import PassTemplate, TemplateError, load_template

__all__ = ["Level", "Problem", "check", "check_folder", "check_pass_json"]

# Stands in for the installation's own: the lint is about the template.
_IDENTITY = PassIdentity(
    pass_type_identifier="pass.com.example.lint",  # noqa: S106 -- an identifier
    team_identifier="ABCDE12345",
    serial_number="lint",
    authentication_token="0123456789abcdef",  # noqa: S106 -- no secret, only long enough
    web_service_url="https://example.com/apple",
)


def check_pass_json(pass_json: Json, files: Mapping[str, bytes]) -> list[Problem]:
    """The problems of one pass: its pass.json and the files beside it, by path in the pass."""
    return [
        *check_top_level(pass_json),
        *check_fields(pass_json),
        *check_barcodes(pass_json),
        *check_relevance(pass_json),
        *check_semantics(pass_json),
        *check_nfc(pass_json),
        *check_schemes(pass_json),
        *check_files(pass_json, files),
    ]


def check(template: PassTemplate) -> list[Problem]:
    """The problems of a template: its sample compiled in every language, and its texts. Each once."""
    found = chain(
        _check_samples(template),
        _check_texts(template),
        _check_news(template),
        _check_sample_values(template),
        check_google(template),
    )
    return list(dict.fromkeys(found))


def check_folder(folder: Path) -> list[Problem]:
    """The problems of a template's folder; one that cannot be loaded is one error, named by its code."""
    try:
        template = load_template(folder)
    except TemplateError as fault:
        return [error(fault.code, f"{fault.file}: {fault.key}" if fault.key else fault.file, fault.remedy)]
    return check(template)


def _check_samples(template: PassTemplate) -> Iterator[Problem]:
    for content in template.samples.values():
        compiled = compile_pass(template, content, _IDENTITY)
        pass_json = orjson.loads(compiled.pass_json)
        yield from check_pass_json(pass_json, {**template.static_files, **compiled.extra_files})
        for loss in compiled.losses:
            yield warning("not-shown", loss.where, loss.text)


def _check_texts(template: PassTemplate) -> Iterator[Problem]:
    used = template.text_keys()
    for language, texts in template.texts.items():
        for key in texts:
            if key not in used:
                yield warning("unused-text", f"locales/{language}.toml: {key}", "is used nowhere: remove it")


def _check_news(template: PassTemplate) -> Iterator[Problem]:
    for field in template.definition.fields:
        if "message" in template.text(field.value, template.languages[0]).names and field.change_message:
            return
    text = (
        "no field shows {{ message }} with change_message = '%@': campaigns would reach nobody's lock screen"
    )
    yield warning("no-news-field", "fields", text)


def _check_sample_values(template: PassTemplate) -> Iterator[Problem]:
    for name in sorted(template.used_names() - {"barcode"}):
        if any(name not in sample.values for sample in template.samples.values()):
            text = f"values has no {name!r}, which the template uses: add an example"
            yield warning("sample-incomplete", "sample.json", text)
