"""passbell template, as a designer types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.template import template_app
from app.wallets.lint import check_folder
from tests.wallets.passes import BALANCE, TOML, write_template

COFFEE = Path(__file__).parents[2] / "pass_templates" / "coffee"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(template_app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_good_template_is_said_to_be_good():
    code, out, _ = run("check", COFFEE)

    assert code == 0
    assert "coffee: good" in out
    assert "template render" in out


def test_an_error_is_named_and_ends_with_1(tmp_path):
    code, out, err = run("check", write_template(tmp_path, TOML + BALANCE.replace("points", "pionts")))

    assert code == 1
    assert "error: unknown-name" in err
    assert "good" not in out


def test_problems_are_given_as_json_too(tmp_path):
    code, out, _ = run("check", write_template(tmp_path), "--json")
    assert (code, {each["level"] for each in json.loads(out)}) == (0, {"loss"})

    code, out, _ = run("check", tmp_path / "nowhere", "--json")
    assert (code, json.loads(out)[0]["code"]) == (1, "template-invalid")


def test_a_rendered_pass_is_a_folder_in_the_language_asked_for(tmp_path):
    target = tmp_path / "coffee.pass"

    code, out, _ = run("render", COFFEE, "--language", "ru", "--out", target)

    assert code == 0
    assert "unsigned" in out
    pass_json = json.loads((target / "pass.json").read_text())
    assert pass_json["storeCard"]["primaryFields"][0]["label"] == "Баллы"
    assert {"icon.png", "icon@2x.png", "strip@3x.png"} <= {path.name for path in target.iterdir()}
    assert "Points" in (target / "ru.lproj" / "pass.strings").read_text()


def test_the_class_and_the_object_of_google_are_written_with_their_pictures(tmp_path):
    target = tmp_path / "stamps.google"

    code, out, _ = run(
        "render", COFFEE.parent / "stamps", "--wallet", "google", "--language", "ru", "--out", target
    )

    assert code == 0
    assert "class.json" in out
    object_ = json.loads((target / "object.json").read_text())
    hero = object_["heroImage"]["sourceUri"]["uri"].removeprefix("https://example.com/")
    assert (target / hero).read_bytes().startswith(b"\x89PNG")
    assert object_["loyaltyPoints"]["localizedLabel"]["defaultValue"]["value"] == "Печати"
    assert run("render", COFFEE, "--wallet", "google", "--out", target)[0] == 0  # an earlier render


def test_what_google_does_not_show_is_told(tmp_path):
    _, out, _ = run("check", COFFEE)

    assert "not at google: fields.balance: Google words the message" in out


def test_rendering_again_replaces_the_pass_but_never_another_folder(tmp_path):
    target = tmp_path / "coffee.pass"
    assert run("render", COFFEE, "--out", target)[0] == 0
    (target / "old.png").write_bytes(b"")

    assert run("render", COFFEE, "--out", target)[0] == 0
    assert not (target / "old.png").exists()

    own = tmp_path / "own.pass"
    own.mkdir()
    (own / "pass.json").write_text('{"passTypeIdentifier": "pass.com.example.own"}')
    for folder in (tmp_path, own):
        code, _, err = run("render", COFFEE, "--out", folder)
        assert code == 1
        assert "name another folder" in err
    assert (own / "pass.json").exists()


@pytest.mark.parametrize("arguments", [("--language", "de"), ("--out", "/dev/null")])
def test_what_cannot_be_rendered_is_said(arguments):
    code, _, err = run("render", COFFEE, *arguments)

    assert code == 1
    assert arguments[0] in err


def test_a_new_template_is_valid_from_the_start(tmp_path):
    code, out, _ = run("new", "bakery", "--in", tmp_path)

    assert code == 0
    assert "template check" in out
    assert check_folder(tmp_path / "bakery") == []


@pytest.mark.parametrize("name", ["Bakery", "../bakery", "a b", "taken"])
def test_a_bad_or_taken_name_is_refused(tmp_path, name):
    (tmp_path / "taken").mkdir()

    assert run("new", name, "--in", tmp_path)[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
