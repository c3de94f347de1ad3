"""Archives: read back by zipfile and unzip, hashed against their manifest, verified by openssl."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha1
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from app.wallets.apple.dev_ca import DevelopmentCa
from app.wallets.apple.pass_file import PassFileBuilder, UnsafeFileName
from app.wallets.apple.signing import CmsSigner, Signer
from tests.wallets.apple.conftest import Verify

PASS_JSON = json.dumps({"serialNumber": "A-1", "description": "Карта\nкофейни"}).encode()
FILES = {
    "icon.png": bytes(range(256)),
    "strip.png": b"the same for everybody",
    "strip@2x.png": b"also",
    "ru.lproj/pass.strings": '"points" = "баллы";\n'.encode() * 50,
    "Мой «логотип».png": b"logo",
    'a "quoted" name.png': b"quoted",
}


def contents(archive: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert len(opened.namelist()) == len(set(opened.namelist()))
        return {name: opened.read(name) for name in opened.namelist()}


def assert_genuine(archive: bytes, verify: Verify) -> dict[str, bytes]:
    """Every hash of the manifest is right, nothing is missing from it, and its signature is good."""
    found = contents(archive)
    signature, manifest = found.pop("signature"), found.pop("manifest.json")
    assert json.loads(manifest) == {name: sha1(data).hexdigest() for name, data in found.items()}  # noqa: S324
    assert verify(manifest, signature).returncode == 0
    return found


@pytest.fixture
def builder(ca: DevelopmentCa) -> PassFileBuilder:
    return PassFileBuilder(FILES, CmsSigner(ca.signer))


def test_a_pass_holds_its_files_and_is_genuine(signer: Signer, openssl_verify: Verify, now: datetime) -> None:
    archive = PassFileBuilder(FILES, CmsSigner(signer)).build(PASS_JSON, now=now)

    assert assert_genuine(archive, openssl_verify) == FILES | {"pass.json": PASS_JSON}


def test_unzip_finds_no_fault(builder: PassFileBuilder, tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "card.pkpass"
    path.write_bytes(builder.build(PASS_JSON, extra={"strip.png": b"drawn"}, now=now))

    result = subprocess.run(["unzip", "-t", str(path)], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "No errors detected" in result.stdout


def test_an_extra_file_stands_in_the_place_of_the_static_one(
    builder: PassFileBuilder, openssl_verify: Verify, now: datetime
) -> None:
    extra = {"strip.png": b"eight stamps of ten", "thumbnail.png": b"new"}

    drawn = builder.build(PASS_JSON, extra=extra, now=now)
    plain = builder.build(PASS_JSON, now=now)

    assert assert_genuine(drawn, openssl_verify) == FILES | extra | {"pass.json": PASS_JSON}
    assert assert_genuine(plain, openssl_verify) == FILES | {"pass.json": PASS_JSON}


def test_a_pass_without_static_files_is_genuine(
    ca: DevelopmentCa, openssl_verify: Verify, now: datetime
) -> None:
    archive = PassFileBuilder({}, CmsSigner(ca.signer)).build(PASS_JSON, now=now)

    assert assert_genuine(archive, openssl_verify) == {"pass.json": PASS_JSON}


def test_text_is_deflated_and_images_are_not(builder: PassFileBuilder, now: datetime) -> None:
    with ZipFile(BytesIO(builder.build(PASS_JSON, now=now))) as archive:
        assert archive.getinfo("ru.lproj/pass.strings").compress_type == ZIP_DEFLATED
        assert archive.getinfo("icon.png").compress_type == ZIP_STORED


def test_equal_passes_signed_at_one_time_are_equal_archives(ca: DevelopmentCa, now: datetime) -> None:
    cms = CmsSigner(ca.signer)
    reversed_files = dict(reversed(FILES.items()))

    archive = PassFileBuilder(FILES, cms).build(PASS_JSON, extra={"x.png": b"x", "y.png": b"y"}, now=now)
    again = PassFileBuilder(reversed_files, cms).build(
        PASS_JSON, extra={"y.png": b"y", "x.png": b"x"}, now=now
    )
    later = PassFileBuilder(FILES, cms).build(PASS_JSON, now=now + timedelta(seconds=1))

    assert archive == again
    assert archive != later


@pytest.mark.parametrize(
    "name",
    [
        "pass.json",
        "manifest.json",
        "signature",
        "Signature",
        "",
        "/etc/passwd",
        "../icon.png",
        "ru.lproj/../../icon.png",
        "ru.lproj//icon.png",
        "./icon.png",
        "folder/",
        "ru.lproj\\icon.png",
        "icon\n.png",
        "icon\0.png",
        "icon\ud800.png",
        "я" * 128,
    ],
)
def test_a_name_that_is_reserved_or_unsafe_is_refused(
    name: str, builder: PassFileBuilder, ca: DevelopmentCa, now: datetime
) -> None:
    with pytest.raises(UnsafeFileName):
        PassFileBuilder({name: b"x"}, CmsSigner(ca.signer))
    with pytest.raises(UnsafeFileName):
        builder.build(PASS_JSON, extra={name: b"x"}, now=now)


def test_threads_that_share_a_builder_all_build_genuine_passes(
    builder: PassFileBuilder, openssl_verify: Verify, now: datetime
) -> None:
    def build(number: int) -> bytes:
        extra = {"strip.png": b"%d" % number} if number % 2 else {}
        return builder.build(b'{"serialNumber":"%d"}' % number, extra=extra, now=now)

    with ThreadPoolExecutor(4) as threads:
        archives = list(threads.map(build, range(100)))

    for number, archive in list(enumerate(archives))[::9]:
        found = assert_genuine(archive, openssl_verify)
        assert json.loads(found["pass.json"]) == {"serialNumber": str(number)}
