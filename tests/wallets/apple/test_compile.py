"""pass.json, from a template and a member's content."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.wallets.apple.compile import compile_pass
from app.wallets.content import PassIdentity
from app.wallets.templates import load_template

TEMPLATES = Path(__file__).parents[3] / "pass_templates"
IDENTITY = PassIdentity(
    pass_type_identifier="pass.com.example.loyalty",
    team_identifier="ABCDE12345",
    serial_number="0001",
    authentication_token="0123456789abcdef",
    web_service_url="https://example.com/apple",
)


def shown(name: str, language: str, **values: object) -> dict:
    """pass.json of a shipped template's sample, with some values changed."""
    template = load_template(TEMPLATES / name)
    sample = template.samples[language]
    content = replace(sample, values={**sample.values, **values})
    return json.loads(compile_pass(template, content, IDENTITY).pass_json)


@pytest.mark.parametrize(("language", "balance"), [("en", "12,401"), ("ru", "12\N{NO-BREAK SPACE}401")])
def test_the_balance_is_written_as_the_members_language_writes_numbers(language, balance):
    (field,) = shown("coffee", language, points=12401)["storeCard"]["primaryFields"]

    assert field["value"] == balance


def test_hostile_values_are_shown_as_they_are_and_never_read_as_expressions():
    name = 'Иван "}]{{ 9*9 }}{% raw %}\u202e\\'

    member = shown("coffee", "ru", member_name=name)["storeCard"]["secondaryFields"][0]

    assert member["value"] == 'Иван "}]{{ 9*9 }}{% raw %}\\'
