"""The simulated iPhone refuses what a real one refuses, and says why."""

import hashlib
import io
import json
import subprocess
import zipfile
from datetime import timedelta

import pytest

from app.simulators.iphone import RefusedPass, open_pass
from app.wallets.apple.dev_ca import DevelopmentCa
from app.wallets.apple.signing import CmsSigner
from tests.make import NOON

ICON = b"\x89PNG icon"
PASS_JSON = {
    "formatVersion": 1,
    "passTypeIdentifier": "pass.org.passbell.test",
    "teamIdentifier": "TEST000000",
    "serialNumber": "1",
    "organizationName": "Coffee House",
    "description": "A card",
    "webServiceURL": "https://example.org/apple",
    "authenticationToken": "0123456789abcdef",
    "storeCard": {"primaryFields": [{"key": "balance", "value": 5}]},
}


class Maker:
    """Builds passes with one thing wrong."""

    def __init__(self, ca: DevelopmentCa) -> None:
        self.ca = ca

    def build(self, *, files=None, manifest=None, signature=None, now=NOON, extra=None, **changes):
        pass_json = {key: value for key, value in (PASS_JSON | changes).items() if value is not None}
        inside = {"pass.json": json.dumps(pass_json).encode()} | (
            {"icon.png": ICON} if files is None else files
        )
        listed = {
            name: hashlib.sha1(data, usedforsecurity=False).hexdigest() for name, data in inside.items()
        } | (manifest or {})
        manifest_json = json.dumps({name: value for name, value in listed.items() if value}).encode()
        signed = signature or CmsSigner(self.ca.signer).sign(manifest_json, now=now)
        return archive(inside | {"manifest.json": manifest_json, "signature": signed} | (extra or {}))

    def open(self, data, *, now=NOON, trusted=None):
        return open_pass(data, trusted=trusted or self.ca.root.certificate, now=now)


def archive(files):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return written.getvalue()


@pytest.fixture(scope="module")
def maker(development_ca):
    return Maker(development_ca)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return DevelopmentCa.open(
        tmp_path_factory.mktemp("stranger"),
        pass_type_identifier="pass.org.passbell.test",
        team_identifier="TEST000000",
        now=NOON,
    )


def test_a_good_pass_opens(maker):
    assert maker.open(maker.build()).pass_json == PASS_JSON


def test_a_pass_may_be_trusted_through_its_issuer_alone(maker, development_ca):
    assert maker.open(maker.build(), trusted=development_ca.wwdr.certificate).serial_number == "1"


FIELD = {"key": "a", "value": "x"}

REFUSALS = [
    ({"files": {}}, "icon.png"),
    ({"formatVersion": 2}, "formatVersion"),
    ({"serialNumber": None}, "serialNumber"),
    ({"serialNumber": ""}, "serialNumber"),
    ({"organizationName": None}, "organizationName"),
    ({"description": 5}, "description"),
    ({"storeCard": None}, "one style"),
    ({"generic": {}}, "one style"),
    ({"passTypeIdentifier": "pass.other"}, "UID and OU"),
    ({"teamIdentifier": "OTHER00000"}, "UID and OU"),
    ({"authenticationToken": "short"}, "16 characters"),
    ({"authenticationToken": None}, "go together"),
    ({"webServiceURL": "ftp://example.org"}, "webServiceURL"),
    ({"expirationDate": "2030-02-01T08:00:00.000+0000"}, "expirationDate"),
    ({"relevantDate": "tomorrow"}, "relevantDate"),
    ({"storeCard": {"backFields": [FIELD, FIELD]}}, "stands twice"),
    ({"storeCard": {"backFields": [{"key": "a"}]}}, "no value"),
    ({"storeCard": {"backFields": [FIELD | {"dateStyle": "PKDateStyleShort"}]}}, "not a W3C date"),
    ({"manifest": {"icon.png": "0" * 40}}, "does not match"),
    ({"manifest": {"icon.png": None}}, "missing in the manifest"),
    ({"manifest": {"logo.png": "0" * 40}}, "missing in the archive"),
    ({"extra": {"manifest.json": b"[]"}}, "not an object"),
    ({"extra": {"surprise.png": b"x"}}, "missing in the manifest"),
    ({"extra": {"../icon.png": b"x"}}, "outside itself"),
    ({"signature": b"\x30\x82\xff\xff"}, "DER"),
    ({"signature": b"nothing"}, "CMS|read|DER"),
]


@pytest.mark.parametrize(("wrong", "reason"), REFUSALS)
def test_a_pass_with_one_thing_wrong_is_refused_for_it(maker, wrong, reason):
    with pytest.raises(RefusedPass, match=reason):
        maker.open(maker.build(**wrong))


def files_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize("place", range(-256, 0, 32))  # in the RSA signature, which stands last
def test_a_changed_bit_of_the_signature_is_noticed(maker, place):
    files = files_of(maker.build())
    signature = bytearray(files["signature"])
    signature[place] ^= 1

    with pytest.raises(RefusedPass, match="did not verify"):
        maker.open(archive(files | {"signature": bytes(signature)}))


def test_a_manifest_changed_after_signing_is_refused(maker):
    files = files_of(maker.build())

    with pytest.raises(RefusedPass, match="changed after it was signed"):
        maker.open(archive(files | {"manifest.json": files["manifest.json"] + b" "}))


def test_a_certificate_of_another_authority_is_refused(maker, stranger):
    with pytest.raises(RefusedPass, match="trust chain"):
        maker.open(maker.build(), trusted=stranger.root.certificate)


def test_a_pass_is_refused_once_its_certificate_has_ended(maker):
    with pytest.raises(RefusedPass, match="not valid on"):
        maker.open(maker.build(), now=NOON + timedelta(days=400))


def test_a_signature_that_carries_the_manifest_is_refused(maker, tmp_path):
    with pytest.raises(RefusedPass, match="detached"):
        maker.open(maker.build(signature=attached(maker.ca, tmp_path)))


def attached(ca, folder):
    """What openssl makes without being told to detach."""
    (folder / "manifest.json").write_bytes(b"{}")
    command = ["openssl", "cms", "-sign", "-nodetach", "-binary", "-outform", "DER"]
    command += ["-in", folder / "manifest.json", "-signer", ca.leaf.certificate_path]
    command += ["-inkey", ca.leaf.private_key_path]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("data", [b"", b"PK", b"<html>", b"PK\x03\x04" + b"\0" * 200])
def test_what_is_no_archive_is_refused(maker, data):
    with pytest.raises(RefusedPass, match="ZIP"):
        maker.open(data)


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(maker):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("bomb", b"\0" * 41_000_000)

    with pytest.raises(RefusedPass, match="too much"):
        maker.open(written.getvalue())


@pytest.mark.parametrize(
    ("changes", "is_grey"),
    [
        ({}, False),
        ({"voided": True}, True),
        ({"expirationDate": "2030-06-03T12:00:00Z"}, True),
        ({"expirationDate": "2030-06-03T12:00:00-01:00"}, False),
    ],
)
def test_a_voided_or_expired_pass_is_grey(maker, changes, is_grey):
    assert maker.open(maker.build(**changes)).is_grey(NOON) is is_grey
