"""Classes and objects of templates, written for the test."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.wallets.google.service_account import ServiceAccount
from app.wallets.google.wallet import GoogleProgram, GoogleWallet
from app.wallets.templates import PassTemplate, load_template, load_templates
from tests.wallets.passes import write_template

TEMPLATES = Path(__file__).parents[3] / "pass_templates"
SHIPPED = load_templates(TEMPLATES)
ISSUER = "3388000000022141777"  # beyond what a JSON number keeps
PROGRAM = GoogleProgram("coffee", "Утро и зерно", "ru", "KZT", "KZ", "Asia/Almaty")
URL = "https://cards.example.com"
SERIAL = "9f86d081884c7d659a2feaa0c55ad015"

ACCOUNT = ServiceAccount(
    email="passbell@example.iam.gserviceaccount.com",
    key_id="0123abcd",
    token_uri="https://oauth2.googleapis.com/token",
    private_key=rsa.generate_private_key(65537, 2048),
)


def wallet_of(templates: dict[str, PassTemplate]) -> GoogleWallet:
    return GoogleWallet(templates, ACCOUNT, issuer_id=ISSUER, public_url=URL, secret_key=b"s" * 32)


@pytest.fixture(scope="session")
def wallet() -> GoogleWallet:
    return wallet_of(SHIPPED)


def bodies(template: PassTemplate, language: str = "ru", **changes: Any) -> tuple[dict, dict]:
    """The class and the object of a template's sample; `changes` are values, or fields of the content."""
    sample = template.samples.get(language) or template.samples[template.languages[0]]
    content = replace(
        sample, **{key: changes.pop(key) for key in ("voided", "expires_at", "barcode") if key in changes}
    )
    content = replace(content, values={**content.values, **changes})
    google = wallet_of({template.name: template})
    return (
        google.class_body(template.name, PROGRAM, content),
        google.object_body(template.name, PROGRAM, content, serial_number=SERIAL),
    )


@pytest.fixture
def written(tmp_path) -> Callable[..., PassTemplate]:
    """A template of this template.toml and these files, loaded."""

    def write(toml: str, **files: Any) -> PassTemplate:
        return load_template(write_template(tmp_path / "card", toml, **files))

    return write
