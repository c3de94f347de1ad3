import json

import pytest
from typer.testing import CliRunner

from app.cli.root import app as passbell

FILE = "app/demo/programs/school.toml"


@pytest.fixture
def run(database_url, monkeypatch):
    monkeypatch.setenv("PASSBELL_DATABASE_URL", database_url)
    monkeypatch.setenv("PASSBELL_PUBLIC_URL", "https://cards.example")
    return lambda *words: CliRunner().invoke(passbell, words)


def test_a_file_makes_a_programme_and_prints_its_forms_address(run):
    assert run("program", "apply", FILE).exit_code == 0
    again = run("program", "apply", FILE, "--json")

    (program,) = json.loads(again.stdout)
    assert (program["slug"], program["form"]) == ("school", "https://cards.example/join/school")


def test_a_file_that_names_no_template_is_refused_before_anything_changes(run, tmp_path):
    wrong = tmp_path / "wrong.toml"
    with open(FILE, encoding="utf-8") as file:
        wrong.write_text(file.read().replace('template = "school"', 'template = "nowhere"'), "utf-8")

    refused = run("program", "apply", str(wrong))

    assert refused.exit_code == 1
    assert "nowhere" in refused.stderr
    assert json.loads(run("program", "list", "--json").stdout) == []


def test_an_empty_queue_says_so(run):
    assert run("jobs", "stats").stdout == "none\n"
    assert run("jobs", "held").stdout == "none\n"
    assert run("jobs", "requeue").stdout == "0 jobs put back\n"


def test_the_first_command_of_an_installation_makes_its_database(tmp_path, monkeypatch):
    monkeypatch.setenv("PASSBELL_DATABASE_URL", f"sqlite:///{tmp_path}/data/new.db")
    monkeypatch.setenv("PASSBELL_DATA_DIR", str(tmp_path / "data"))

    applied = CliRunner().invoke(passbell, ["program", "apply", FILE])

    assert applied.exit_code == 0
    assert "school" in applied.stdout


@pytest.mark.parametrize(
    "address", ["sqlite:////nowhere/at/all/x.db", "postgresql://nobody:secret@127.0.0.1:1/none"]
)
def test_a_database_that_cannot_be_used_is_said_in_one_line_without_its_password(
    address, tmp_path, monkeypatch
):
    monkeypatch.setenv("PASSBELL_DATABASE_URL", address)
    monkeypatch.setenv("PASSBELL_DATA_DIR", str(tmp_path))

    refused = CliRunner().invoke(passbell, ["program", "list"])

    assert refused.exit_code == 1
    assert "PASSBELL_DATABASE_URL" in refused.stderr
    assert "secret" not in refused.output
