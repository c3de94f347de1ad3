"""Signatures over manifests, judged by openssl in a process of its own and taken apart by asn1crypto."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from asn1crypto import cms as asn1
from cryptography.hazmat.primitives.serialization import Encoding

from app.wallets.apple.signing import CmsSigner, FileSigner, Signer
from tests.wallets.apple.conftest import Verify

MANIFEST = b'{"icon.png":"0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"}'


def signed_data(signature: bytes) -> asn1.SignedData:
    content = asn1.ContentInfo.load(signature, strict=True)
    assert content["content_type"].native == "signed_data"
    return content["content"]


def test_openssl_verifies_a_signature_knowing_only_the_root(
    signer: Signer, openssl_verify: Verify, now: datetime
) -> None:
    result = openssl_verify(MANIFEST, CmsSigner(signer).sign(MANIFEST, now=now))

    assert (result.returncode, result.stderr.strip()) == (0, "CMS Verification successful")


def test_a_manifest_with_line_feeds_verifies_as_it_is(
    signer: Signer, openssl_verify: Verify, now: datetime
) -> None:
    manifest = b'{\n  "icon.png": "00",\r\n  "logo.png": "01"\n}\n'

    assert openssl_verify(manifest, CmsSigner(signer).sign(manifest, now=now)).returncode == 0


@pytest.mark.parametrize("changed", [MANIFEST + b" ", MANIFEST.replace(b"0b", b"0c"), b"{}"])
def test_a_changed_manifest_is_found_out(
    changed: bytes, signer: Signer, openssl_verify: Verify, now: datetime
) -> None:
    result = openssl_verify(changed, CmsSigner(signer).sign(MANIFEST, now=now))

    assert result.returncode != 0
    assert "digest" in result.stderr or "verification failure" in result.stderr


def test_a_signature_does_not_contain_what_it_signs(signer: Signer, now: datetime) -> None:
    signature = CmsSigner(signer).sign(MANIFEST, now=now)

    assert signed_data(signature)["encap_content_info"]["content"].native is None
    assert MANIFEST not in signature


def test_the_encoding_is_der_with_its_sets_in_order(signer: Signer, now: datetime) -> None:
    signature = CmsSigner(signer).sign(MANIFEST, now=now)

    data = signed_data(signature)
    info = data["signer_infos"][0]
    for members in (info["signed_attrs"], data["certificates"]):
        encoded = [member.dump() for member in members]
        assert all(before < after for before, after in pairwise(encoded))
    assert [attribute["type"].native for attribute in info["signed_attrs"]] == [
        "content_type",
        "signing_time",
        "message_digest",
    ]
    assert asn1.ContentInfo.load(signature).dump(force=True) == signature


def test_the_issuer_travels_in_the_signature_and_the_root_does_not(signer: Signer, now: datetime) -> None:
    signature = CmsSigner(signer).sign(MANIFEST, now=now)

    sent = {certificate.dump() for certificate in signed_data(signature)["certificates"]}
    assert sent == {
        certificate.public_bytes(Encoding.DER) for certificate in (signer.certificate, *signer.chain)
    }


def test_the_signing_time_is_now_in_utc(signer: Signer) -> None:
    almaty = timezone(timedelta(hours=5))

    signature = CmsSigner(signer).sign(MANIFEST, now=datetime(2027, 1, 1, 3, 4, 5, tzinfo=almaty))

    attributes = signed_data(signature)["signer_infos"][0]["signed_attrs"]
    assert attributes[1]["values"][0].native == datetime(2026, 12, 31, 22, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("moment", [datetime(2027, 1, 1), datetime(2050, 1, 1, tzinfo=UTC)])  # noqa: DTZ001
def test_a_time_that_cannot_be_written_is_refused(moment: datetime, ec_signer: FileSigner) -> None:
    with pytest.raises(ValueError, match=r"time zone|UTCTime"):
        CmsSigner(ec_signer).sign(MANIFEST, now=moment)


def test_threads_that_share_a_signer_all_sign_validly(
    signer: Signer, openssl_verify: Verify, now: datetime
) -> None:
    shared = CmsSigner(signer)
    manifests = [b'{"pass.json":"%d"}' % number for number in range(200)]

    with ThreadPoolExecutor(4) as threads:
        signatures = list(threads.map(lambda manifest: shared.sign(manifest, now=now), manifests))

    for manifest, signature in list(zip(manifests, signatures, strict=True))[::10]:
        assert openssl_verify(manifest, signature).returncode == 0
