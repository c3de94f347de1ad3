"""pass.json, from a template and a member's content."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.wallets.apple.compile import compile_pass
from app.wallets.lint import check_pass_json
from app.wallets.templates import PassTemplate, load_template
from tests.wallets.passes import BALANCE, ICONS, IDENTITY, NEWS, TOML, write_template

TEMPLATES = Path(__file__).parents[3] / "pass_templates"
SHIPPED = {name: load_template(TEMPLATES / name) for name in ("coffee", "school", "stamps")}


def compiled(template: PassTemplate, language: str, *, barcode: str | None = None, **values: object) -> dict:
    """pass.json of a template's sample, with some values changed."""
    sample = template.samples.get(language) or replace(
        template.samples[template.languages[0]], language=language
    )
    content = replace(sample, values={**sample.values, **values}, barcode=barcode or sample.barcode)
    return json.loads(compile_pass(template, content, IDENTITY).pass_json)


def every_field(pass_json: dict) -> dict[str, dict]:
    """The fields of a pass by key."""
    lists = [value for value in pass_json["storeCard"].values() if isinstance(value, list)]
    return {field["key"]: field for fields in lists for field in fields}


@pytest.mark.parametrize(("language", "balance"), [("en", "12,401"), ("ru", "12\N{NO-BREAK SPACE}401")])
def test_the_balance_is_written_as_the_members_language_writes_numbers(language, balance):
    fields = every_field(compiled(SHIPPED["coffee"], language, points=12401))

    assert fields["balance"]["value"] == balance


@pytest.mark.parametrize("name", SHIPPED)
def test_news_and_the_balance_of_a_shipped_template_reach_the_lock_screen(name):
    fields = every_field(compiled(SHIPPED[name], "ru", message="Скидка 20 %"))

    assert fields["news"]["value"] == "Скидка 20 %"
    assert fields["news"]["changeMessage"] == "%@"
    assert "%@" in fields["balance"]["changeMessage"]
    assert fields["balance"]["changeMessage"] != "%@"


def test_who_speaks_no_language_of_the_template_gets_its_first_and_the_loss_is_told():
    coffee = SHIPPED["coffee"]
    content = replace(coffee.samples["en"], language="de")

    made = compile_pass(coffee, content, IDENTITY)

    assert json.loads(made.pass_json)["description"] == "Coffee points card"
    assert [loss.where for loss in made.losses] == ["languages"]


def test_a_regional_language_is_its_language():
    assert compiled(SHIPPED["coffee"], "ru-KZ")["description"] == "Бонусная карта кофейни"


def test_hostile_values_are_shown_as_they_are_and_never_read_as_expressions():
    name = 'Иван "}]{{ 9*9 }}{% raw %}\u202e\\'

    fields = every_field(compiled(SHIPPED["coffee"], "ru", member_name=name))

    assert fields["member"]["value"] == 'Иван "}]{{ 9*9 }}{% raw %}\\'


def test_a_missing_value_shows_as_nothing_and_its_field_goes_where_it_is_said_so():
    school = SHIPPED["school"]
    content = replace(school.samples["ru"], values={"points": 5})

    fields = every_field(json.loads(compile_pass(school, content, IDENTITY).pass_json))

    assert fields["member"]["value"] == ""
    assert "level" not in fields
    assert fields["card"]["value"] == ""


@pytest.mark.parametrize(("answer", "shown"), [("club", "Клубный игрок"), ("Гроссмейстер", "Гроссмейстер")])
def test_the_code_of_a_choice_is_worded_by_the_template(answer, shown):
    fields = every_field(compiled(SHIPPED["school"], "ru", answer_level=answer))

    assert fields["level"]["value"] == shown


def test_a_voided_and_expiring_pass_says_so_with_its_offset():
    coffee = SHIPPED["coffee"]
    expires_at = datetime(2027, 1, 1, 0, 0, 0, 999, tzinfo=UTC)

    made = compile_pass(coffee, replace(coffee.samples["en"], voided=True, expires_at=expires_at), IDENTITY)

    pass_json = json.loads(made.pass_json)
    assert pass_json["voided"] is True
    assert pass_json["expirationDate"] == "2027-01-01T05:00:00+05:00"
    assert "voided" not in compiled(coffee, "en")


def test_string_tables_translate_from_every_other_language(tmp_path):
    template = load_template(
        write_template(
            tmp_path,
            TOML.replace('"en", "ru"', '"en", "ru", "kk"') + BALANCE + NEWS,
            **{"locales/kk.toml": 'name = "Карта \\"A\\"\\nB"'},
        )
    )

    assert template.static_files["en.lproj/pass.strings"].decode().splitlines() == [
        '"Карта" = "Card";',
        '"Карта \\"A\\"\\nB" = "Card";',
    ]
    assert template.static_files["ru.lproj/pass.strings"].decode().count(' = "Карта";') == 2


def test_the_stamp_card_draws_its_strip():
    stamps = SHIPPED["stamps"]

    seven, eight = (
        compile_pass(stamps, replace(stamps.samples["en"], values={"points": count}), IDENTITY).extra_files
        for count in (7, 8)
    )

    assert set(eight) == {"strip.png", "strip@2x.png", "strip@3x.png"}
    assert seven["strip.png"] != eight["strip.png"]


scalars = st.none() | st.text() | st.integers(-(2**70), 2**70) | st.dates(date(1900, 1, 1), date(2200, 1, 1))
scalars |= st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001 -- the strategy adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
NAMES = sorted(SHIPPED["school"].names - {"barcode"})


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(["coffee", "school"]),
    language=st.sampled_from(["ru", "en", "kk", "zz-ZZ", ""]),
    values=st.dictionaries(st.sampled_from(NAMES), scalars),
    barcode=st.text(),
)
def test_any_values_give_a_pass_that_opens(name, language, values, barcode):
    template = SHIPPED[name]
    content = replace(template.samples["ru"], language=language, values=values, barcode=barcode)

    made = compile_pass(template, content, IDENTITY)

    pass_json = json.loads(made.pass_json.decode())
    faults = check_pass_json(pass_json, ICONS)
    assert not [fault for fault in faults if fault.level == "error"]
