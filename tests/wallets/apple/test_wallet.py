"""Whole passes, from a template's folder to bytes that openssl and a phone take for genuine."""

import io
import json
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from app.simulators.iphone import open_pass
from app.wallets.apple.dev_ca import DevelopmentCa
from app.wallets.apple.signing import CmsSigner
from app.wallets.apple.wallet import AppleWallet, preview
from app.wallets.templates import PassTemplate, UnknownTemplate, load_template, load_templates
from tests.wallets.apple.conftest import PASS_TYPE, TEAM, Verify
from tests.wallets.passes import BALANCE, NEWS, TOML, png, write_template

SHIPPED = load_templates(Path(__file__).parents[3] / "pass_templates")
STYLES = ["storeCard", "coupon", "generic", "eventTicket", "boardingPass", "posterGeneric"]
TOKEN = "0123456789abcdef0123456789abcdef"


def wallet(ca: DevelopmentCa, templates: dict[str, PassTemplate]) -> AppleWallet:
    return AppleWallet(
        templates,
        CmsSigner(ca.signer),
        pass_type_identifier=PASS_TYPE,
        team_identifier=TEAM,
        web_service_url="https://cards.example/apple",
    )


def of_style(folder: Path, style: str) -> PassTemplate:
    toml = TOML.replace("storeCard", style) + BALANCE + NEWS
    extra: dict[str, str | bytes] = {}
    if style == "boardingPass":
        toml = toml.replace("[colors]", 'transit = "train"\n[colors]', 1)
    if style == "posterGeneric":
        extra = {"images/background.png": png(345, 505), "images/background@2x.png": png(690, 1010)}
    return load_template(write_template(folder, toml, **extra))


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def assert_genuine(data: bytes, ca: DevelopmentCa, openssl_verify: Verify, now: datetime) -> None:
    files = files_of(data)
    verdict = openssl_verify(files["manifest.json"], files["signature"])
    assert verdict.returncode == 0, verdict.stderr
    open_pass(data, trusted=ca.root.certificate, now=now)


@pytest.mark.parametrize("style", STYLES)
def test_openssl_and_a_phone_take_every_style_for_genuine(style, tmp_path, ca, openssl_verify, now):
    template = of_style(tmp_path / "card", style)
    made = wallet(ca, {"card": template}).pass_file(
        "card", template.samples["en"], serial_number="0001", authentication_token=TOKEN, now=now
    )

    assert_genuine(made, ca, openssl_verify, now)
    assert style in json.loads(files_of(made)["pass.json"])


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_openssl_and_a_phone_take_every_shipped_template_for_genuine(name, language, ca, openssl_verify, now):
    made = wallet(ca, SHIPPED).pass_file(
        name,
        SHIPPED[name].samples[language],
        serial_number="0001",
        authentication_token=TOKEN,
        now=now,
    )

    assert_genuine(made, ca, openssl_verify, now)


def test_a_preview_shows_the_same_without_the_secrets(ca, now):
    content = SHIPPED["stamps"].samples["ru"]
    apple = wallet(ca, SHIPPED)
    made = apple.pass_file("stamps", content, serial_number="0001", authentication_token=TOKEN, now=now)
    sent = json.loads(files_of(made)["pass.json"])

    drawn = preview(SHIPPED["stamps"], content, serial_number="0001")

    assert set(sent) - set(drawn.pass_json) == {"authenticationToken", "webServiceURL"}
    assert drawn.pass_json["storeCard"] == sent["storeCard"]
    assert drawn.images["strip"] == files_of(made)["strip@2x.png"]
    assert {"icon", "logo", "strip"} <= drawn.images.keys()


def test_a_template_that_is_not_there_is_named(ca, now):
    with pytest.raises(UnknownTemplate, match="'gone'"):
        wallet(ca, SHIPPED).pass_file(
            "gone",
            SHIPPED["coffee"].samples["en"],
            serial_number="1",
            authentication_token=TOKEN,
            now=now,
        )
