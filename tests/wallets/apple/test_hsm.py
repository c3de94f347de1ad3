"""Keys on a PKCS #11 token: SoftHSM, with a token of its own in a folder of the test's."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import which

import pkcs11
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from app.cli.doctor import examine
from app.errors import TemporaryFailure
from app.settings import Settings
from app.wallets.apple.dev_ca import DevelopmentCa
from app.wallets.apple.signing import (
    CmsSigner,
    FileSigner,
    Signer,
    UnusableKeyMaterial,
    load_signer,
    open_pkcs11_signer,
)
from tests.wallets.apple.conftest import Verify

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/opt/homebrew/lib/softhsm/libsofthsm2.so")]
MODULE = next((path for path in MODULES if path.exists()), None)
PIN, TOKEN = "2468", "Passbell test"
MANIFEST = b'{"icon.png":"00"}'

pytestmark = pytest.mark.skipif(
    MODULE is None or which("softhsm2-util") is None, reason="SoftHSM is not installed: apt install softhsm2"
)


@dataclass
class Hsm:
    """A token with an RSA key "rsa" and an EC key "ec", and the certificates for them as files."""

    folder: Path
    ca: DevelopmentCa
    certificates: dict[str, Path]

    def open(
        self, kind: str = "rsa", *, key_label: str | None = "", pin: str | None = PIN, token: str = TOKEN
    ) -> Signer:
        assert MODULE is not None
        return open_pkcs11_signer(
            MODULE,
            token_label=token,
            key_label=kind if key_label == "" else key_label,
            pin=pin,
            certificate=self.certificates[kind],
            wwdr=self.ca.wwdr.certificate_path,
        )

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"


def softhsm(*arguments: str) -> None:
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory, ca: DevelopmentCa, ec_signer: FileSigner) -> Iterator[Hsm]:
    folder = tmp_path_factory.mktemp("hsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        softhsm("--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "1357")
        certificates = {}
        signers = {
            "rsa": ca.signer,
            "ec": ec_signer,
            "another rsa": FileSigner(ca.wwdr.certificate, (), ca.wwdr.private_key),
        }
        for number, (label, signer) in enumerate(signers.items(), 1):
            key, certificate = folder / f"{label}.key", folder / f"{label}.pem"
            key.write_bytes(
                signer.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )
            certificate.write_bytes(signer.certificate.public_bytes(Encoding.PEM))
            softhsm(
                *("--import", str(key), "--token", TOKEN, "--label", label, "--id", f"0{number}"),
                *("--pin", PIN),
            )
            key.unlink()
            certificates[label] = certificate
        yield Hsm(folder, ca, certificates)
        pkcs11.unload(str(MODULE))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_key_on_a_token_signs(kind: str, hsm: Hsm, openssl_verify: Verify, now: datetime) -> None:
    signature = CmsSigner(hsm.open(kind)).sign(MANIFEST, now=now)

    assert openssl_verify(MANIFEST, signature).returncode == 0


def test_the_only_key_of_its_kind_needs_no_label(hsm: Hsm) -> None:
    assert hsm.open("ec", key_label=None).sign_raw(b"data")


def test_threads_and_signers_share_one_token(hsm: Hsm, openssl_verify: Verify, now: datetime) -> None:
    signers = [CmsSigner(hsm.open("rsa")), CmsSigner(hsm.open("ec"))]
    manifests = [b'{"pass.json":"%d"}' % number for number in range(80)]

    def sign(number: int) -> bytes:
        return signers[number % 2].sign(manifests[number], now=now)

    with ThreadPoolExecutor(4) as threads:
        signatures = list(threads.map(sign, range(80)))

    for number in range(0, 80, 9):
        assert openssl_verify(manifests[number], signatures[number]).returncode == 0


def test_a_lost_token_is_a_temporary_failure_and_is_used_again_when_it_is_back(
    hsm: Hsm, openssl_verify: Verify, now: datetime
) -> None:
    cms, other = CmsSigner(hsm.open("rsa")), CmsSigner(hsm.open("ec"))
    cms.sign(MANIFEST, now=now)

    hsm.tokens.rename(hsm.folder / "pulled out")
    for _ in range(2):
        with pytest.raises(TemporaryFailure, match=TOKEN):
            cms.sign(MANIFEST, now=now)
        with pytest.raises(TemporaryFailure, match=TOKEN):
            other.sign(MANIFEST, now=now)
    (hsm.folder / "pulled out").rename(hsm.tokens)

    for signer in (cms, other, cms):
        assert openssl_verify(MANIFEST, signer.sign(MANIFEST, now=now)).returncode == 0


def test_a_lost_session_is_opened_again(hsm: Hsm, openssl_verify: Verify, now: datetime) -> None:
    cms = CmsSigner(hsm.open("rsa"))

    pkcs11.lib(str(MODULE)).reinitialize()  # ends every session, as a reboot of a network HSM does

    assert openssl_verify(MANIFEST, cms.sign(MANIFEST, now=now)).returncode == 0


def test_a_module_started_again_does_not_mix_up_the_keys_of_two_signers(
    hsm: Hsm, openssl_verify: Verify, now: datetime
) -> None:
    pkcs11.lib(str(MODULE)).reinitialize()  # handles are given out from the first again
    cms = CmsSigner(hsm.open("rsa"))

    with pytest.raises(TemporaryFailure):
        hsm.open("rsa", token="another")  # looking for it starts the module anew, and with it the handles
    with pytest.raises(UnusableKeyMaterial, match="does not belong"):
        hsm.open("rsa", key_label="another rsa")

    assert openssl_verify(MANIFEST, cms.sign(MANIFEST, now=now)).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "code", "says"),
    [
        ({"key_label": "nope"}, "token_key", "'rsa'"),
        ({"key_label": None}, "token_key", "'another rsa'"),
        ({"key_label": "ec"}, "token_key", "private RSA key"),
        ({"key_label": "another rsa"}, "key_mismatch", "PASSBELL_PKCS11_KEY_LABEL"),
    ],
)
def test_a_wrong_key_is_named_with_its_remedy(
    wrong: dict[str, str | None], code: str, says: str, hsm: Hsm
) -> None:
    with pytest.raises(UnusableKeyMaterial) as refused:
        hsm.open("rsa", **wrong)  # type: ignore[arg-type]

    assert refused.value.code == code
    assert says in str(refused.value)


def test_a_token_that_is_not_there_is_a_temporary_failure(hsm: Hsm) -> None:
    with pytest.raises(TemporaryFailure, match="its label"):
        hsm.open("rsa", token="another")


def test_a_module_that_is_none_says_which_setting_to_correct(hsm: Hsm) -> None:
    with pytest.raises(UnusableKeyMaterial, match="PASSBELL_PKCS11_MODULE_PATH") as refused:
        open_pkcs11_signer(
            Path("/nowhere/lib.so"),
            token_label=TOKEN,
            key_label=None,
            pin=PIN,
            certificate=hsm.certificates["rsa"],
            wwdr=hsm.ca.wwdr.certificate_path,
        )

    assert refused.value.code == "module_unusable"


def test_a_wrong_pin_is_refused_and_not_tried_twice(hsm: Hsm) -> None:
    from app.wallets.apple.signing.pkcs11 import Pkcs11Signer, load_module

    assert MODULE is not None
    module = load_module(MODULE)
    pkcs11.lib(str(MODULE)).reinitialize()  # so that no earlier login holds
    signer = Pkcs11Signer(hsm.ca.leaf.certificate, (), module, token_label=TOKEN, key_label="rsa", pin="0000")

    for _ in range(5):
        with pytest.raises(UnusableKeyMaterial, match="PASSBELL_PKCS11_PIN"):
            signer.sign_raw(b"data")

    token = pkcs11.lib(str(MODULE)).get_token(token_label=TOKEN)
    assert pkcs11.TokenFlag.USER_PIN_COUNT_LOW in token.flags
    hsm.open("rsa")


def test_the_settings_name_a_token_and_the_doctor_asks_for_a_push_key(
    hsm: Hsm, ca: DevelopmentCa, now: datetime
) -> None:
    settings = Settings(
        mode="demo",
        apple_certificate_path=hsm.certificates["rsa"],
        apple_wwdr_certificate_path=ca.wwdr.certificate_path,
        pkcs11_module_path=MODULE,
        pkcs11_token_label=TOKEN,
        pkcs11_key_label="rsa",
        pkcs11_pin=SecretStr(PIN),
    )

    assert load_signer(settings).certificate == ca.leaf.certificate
    faults = [
        (finding.level, finding.code) for finding in examine(settings, now=now) if finding.level != "ok"
    ]
    assert faults == [("warning", "development"), ("error", "push_key_missing")]

    unplugged = examine(settings.model_copy(update={"pkcs11_token_label": "not there"}), now=now)
    assert unplugged[0].code == "key_out_of_reach"
    assert "issuer" in {finding.code for finding in unplugged}


def test_without_the_extra_package_the_remedy_is_to_install_it(
    hsm: Hsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.wallets.apple.signing.hsm.find_spec", lambda _: None)

    with pytest.raises(UnusableKeyMaterial, match=r"passbell\[hsm\]"):
        hsm.open("rsa")


def test_the_program_does_not_need_the_extra_package_to_sign_with_files() -> None:
    code = "import sys; sys.modules['pkcs11'] = None; import app.wallets.apple.pass_file"

    result = subprocess.run(["python", "-c", code], env=os.environ, check=False)

    assert result.returncode == 0
