"""`passbell doctor` as a person runs it: settings from the environment, words and an exit status back."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app.cli.doctor import doctor_command
from app.wallets.apple.dev_ca import DevelopmentCa

PASS_TYPE, TEAM = "pass.com.example.coffee", "TEAM123456"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCa:
    return DevelopmentCa.open(
        tmp_path_factory.mktemp("ca"),
        pass_type_identifier=PASS_TYPE,
        team_identifier=TEAM,
        now=datetime.now(UTC),
    )


@pytest.fixture
def settings(ca: DevelopmentCa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The PASSBELL_ variables doctor is run with; a working set at first."""
    monkeypatch.chdir(tmp_path)
    return {
        "PASSBELL_MODE": "demo",
        "PASSBELL_APPLE_CERTIFICATE_PATH": str(ca.leaf.certificate_path),
        "PASSBELL_APPLE_PRIVATE_KEY_PATH": str(ca.leaf.private_key_path),
        "PASSBELL_APPLE_WWDR_CERTIFICATE_PATH": str(ca.wwdr.certificate_path),
    }


def run(settings: dict[str, str], *arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(doctor_command)
    result = CliRunner().invoke(app, list(arguments), env=settings)
    return result.exit_code, result.output


def codes(settings: dict[str, str]) -> tuple[int, list[tuple[str, str]]]:
    status, output = run(settings, "--json")
    return status, [(finding["level"], finding["code"]) for finding in json.loads(output)]


def test_a_working_certificate_is_explained_in_words(settings: dict[str, str]) -> None:
    status, output = run(settings)

    assert status == 0
    assert f"The pass type identifier is {PASS_TYPE}." in output
    assert "The private key belongs to the certificate" in output
    assert "WARNING" in output  # it is the development CA's
    assert "ERROR" not in output


def test_json_has_every_finding_with_level_code_and_text(settings: dict[str, str]) -> None:
    _, output = run(settings, "--json")

    findings = json.loads(output)
    assert {"level": "ok", "code": "team", "text": f"The team identifier is {TEAM}."} in findings


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"PASSBELL_APPLE_CERTIFICATE_PATH": "", "PASSBELL_MODE": "production"}, "certificate_missing"),
        ({"PASSBELL_APPLE_CERTIFICATE_PATH": "nowhere.pem"}, "file_unreadable"),
        ({"PASSBELL_APPLE_PRIVATE_KEY_PATH": "{server key}"}, "key_mismatch"),
        ({"PASSBELL_APPLE_WWDR_CERTIFICATE_PATH": ""}, "wwdr_missing"),
        ({"PASSBELL_APPLE_PASS_TYPE_IDENTIFIER": "pass.other"}, "pass_type_mismatch"),
        ({"PASSBELL_APPLE_TEAM_IDENTIFIER": "OTHER"}, "team_mismatch"),
        ({"PASSBELL_MODE": "production"}, "development"),
        ({"PASSBELL_PKCS11_MODULE_PATH": "/nowhere.so"}, "token_label_missing"),
        (
            {"PASSBELL_PKCS11_MODULE_PATH": "/nowhere.so", "PASSBELL_PKCS11_TOKEN_LABEL": "HSM"},
            "module_unusable",
        ),
    ],
)
def test_an_error_is_named_and_the_command_fails(
    change: dict[str, str], error: str, settings: dict[str, str], ca: DevelopmentCa
) -> None:
    change = {
        name: value.replace("{server key}", str(ca.server.private_key_path)) for name, value in change.items()
    }

    status, found = codes(settings | change)

    assert status == 1
    assert ("error", error) in found


def test_a_foreign_key_does_not_hide_what_else_is_wrong(settings: dict[str, str], ca: DevelopmentCa) -> None:
    settings |= {
        "PASSBELL_APPLE_PRIVATE_KEY_PATH": str(ca.server.private_key_path),
        "PASSBELL_APPLE_TEAM_IDENTIFIER": "OTHER",
    }

    _, found = codes(settings)

    assert ("error", "key_mismatch") in found
    assert ("error", "team_mismatch") in found
    assert ("ok", "issuer") in found


def test_without_a_certificate_the_demo_is_well(settings: dict[str, str]) -> None:
    settings["PASSBELL_APPLE_CERTIFICATE_PATH"] = ""

    assert codes(settings) == (0, [("ok", "certificate_missing")])
