"""Key material as people have it: every format opens, and every mistake is answered with its remedy."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from app.wallets.apple.dev_ca import DevelopmentCa, KeyPair, issue, pass_extensions, pass_subject
from app.wallets.apple.signing import CmsSigner, FileSigner, UnusableKeyMaterial, load_file_signer
from tests.wallets.apple.conftest import PASS_TYPE, TEAM, Verify

PASSWORD = "Пароль: correct horse".encode()
MANIFEST = b'{"icon.png":"00"}'

Make = Callable[[str, bytes], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def key_bytes(
    pair: KeyPair,
    encoding: Encoding = Encoding.PEM,
    form: PrivateFormat = PrivateFormat.PKCS8,
    password: bytes | None = None,
) -> bytes:
    return pair.private_key.private_bytes(encoding, form, encryption(password))


def encryption(password: bytes | None) -> KeySerializationEncryption:
    return BestAvailableEncryption(password) if password else NoEncryption()


def p12(pair: KeyPair, *others: x509.Certificate, password: bytes | None = PASSWORD) -> bytes:
    assert isinstance(pair.private_key, rsa.RSAPrivateKey)
    return pkcs12.serialize_key_and_certificates(
        b"card", pair.private_key, pair.certificate, others, encryption(password)
    )


def as_pem(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(
        make("c.pem", pem(ca.leaf.certificate)),
        make("k.pem", key_bytes(ca.leaf)),
        wwdr=ca.wwdr.certificate_path,
    )


def as_apple_gives_it(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(
        make("pass.cer", der(ca.leaf.certificate)),
        make("k.key", key_bytes(ca.leaf, form=PrivateFormat.TraditionalOpenSSL)),
        wwdr=make("AppleWWDRCAG4.cer", der(ca.wwdr.certificate)),
    )


def as_encrypted_pem(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(
        make("c.pem", pem(ca.leaf.certificate)),
        make("k.pem", key_bytes(ca.leaf, password=PASSWORD)),
        PASSWORD,
        ca.wwdr.certificate_path,
    )


def as_encrypted_traditional_pem(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(
        make("c.pem", pem(ca.leaf.certificate)),
        make("k.pem", key_bytes(ca.leaf, form=PrivateFormat.TraditionalOpenSSL, password=PASSWORD)),
        PASSWORD,
        ca.wwdr.certificate_path,
    )


def as_encrypted_der(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(
        make("c.pem", pem(ca.leaf.certificate)),
        make("k.der", key_bytes(ca.leaf, Encoding.DER, password=PASSWORD)),
        PASSWORD,
        ca.wwdr.certificate_path,
    )


def as_one_pem_of_everything(ca: DevelopmentCa, make: Make) -> FileSigner:
    certificates = pem(ca.root.certificate) + pem(ca.wwdr.certificate) + pem(ca.leaf.certificate)
    return load_file_signer(make("all.pem", b"Bag Attributes\n" + key_bytes(ca.leaf) + certificates))


def as_p12(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(make("card.p12", p12(ca.leaf)), password=PASSWORD, wwdr=ca.wwdr.certificate_path)


def as_p12_with_its_chain(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(
        make("c.pfx", p12(ca.leaf, ca.root.certificate, ca.wwdr.certificate)), password=PASSWORD
    )


def as_p12_without_password(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(make("card.p12", p12(ca.leaf, password=None)), wwdr=ca.wwdr.certificate_path)


def with_a_password_that_was_not_needed(ca: DevelopmentCa, make: Make) -> FileSigner:
    return load_file_signer(
        make("c.pem", pem(ca.leaf.certificate)),
        make("k.pem", key_bytes(ca.leaf)),
        PASSWORD,
        ca.wwdr.certificate_path,
    )


@pytest.mark.parametrize(
    "load",
    [
        as_pem,
        as_apple_gives_it,
        as_encrypted_pem,
        as_encrypted_traditional_pem,
        as_encrypted_der,
        as_one_pem_of_everything,
        as_p12,
        as_p12_with_its_chain,
        as_p12_without_password,
        with_a_password_that_was_not_needed,
    ],
)
def test_every_format_signs(
    load: Callable[[DevelopmentCa, Make], FileSigner],
    ca: DevelopmentCa,
    make: Make,
    openssl_verify: Verify,
    now: datetime,
) -> None:
    signer = load(ca, make)

    assert (signer.certificate, signer.chain) == (ca.leaf.certificate, (ca.wwdr.certificate,))
    assert openssl_verify(MANIFEST, CmsSigner(signer).sign(MANIFEST, now=now)).returncode == 0


def test_an_ec_key_signs(ec_signer: FileSigner, ca: DevelopmentCa, make: Make) -> None:
    key = ec_signer.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    signer = load_file_signer(
        make("c.pem", pem(ec_signer.certificate)), make("k.pem", key), wwdr=ca.wwdr.certificate_path
    )

    assert signer.certificate == ec_signer.certificate


def test_a_signer_does_not_show_its_key(ca: DevelopmentCa) -> None:
    assert "private_key" not in repr(ca.signer)


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"certificate": None}, "file_unreadable", "c.pem"),
        ({"key": None}, "file_unreadable", "k.pem"),
        ({"certificate": "key"}, "not_a_certificate", ".cer file"),
        ({"certificate": "noise"}, "not_a_certificate", ".cer file"),
        ({"certificate": "broken"}, "not_a_certificate", ".cer file"),
        ({"key": "certificate"}, "no_private_key", "BEGIN PRIVATE KEY"),
        ({"key": "noise"}, "no_private_key", "BEGIN PRIVATE KEY"),
        ({"key": "noise", "password": b"x"}, "wrong_password", "PASSWORD"),
        ({"key": "encrypted"}, "password_missing", "PASSBELL_APPLE_PRIVATE_KEY_PASSWORD"),
        (
            {"key": "encrypted", "password": b"x"},
            "wrong_password",
            "PASSBELL_APPLE_PRIVATE_KEY_PASSWORD",
        ),
        ({"certificate": "p12", "key": "-"}, "password_missing", "PASSBELL_APPLE_PRIVATE_KEY_PASSWORD"),
        (
            {"certificate": "p12", "key": "-", "password": b"x"},
            "wrong_password",
            "PASSBELL_APPLE_PRIVATE_KEY_PASSWORD",
        ),
        ({"key": "another"}, "key_mismatch", "new certificate issued for this key"),
        ({"key": "short"}, "unsupported_key", "2048"),
        ({"key": "ed25519"}, "unsupported_key", "RSA"),
        ({"wwdr": "-"}, "wwdr_missing", "https://www.apple.com/certificateauthority/"),
        ({"wwdr": "another"}, "wwdr_missing", "did not issue it"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(
    change: dict[str, str | bytes | None],
    code: str,
    says: str,
    ca: DevelopmentCa,
    ec_signer: FileSigner,
    make: Make,
    now: datetime,
) -> None:
    def key_of(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    content = {
        "certificate": pem(ca.leaf.certificate),
        "key": key_bytes(ca.leaf),
        "wwdr": pem(ca.wwdr.certificate),
        "noise": b"<html>not found</html>",
        "broken": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "encrypted": key_bytes(ca.leaf, password=PASSWORD),
        "p12": p12(ca.leaf),
        "short": key_of(rsa.generate_private_key(65537, 1024)),  # noqa: S505
        "ed25519": key_of(ed25519.Ed25519PrivateKey.generate()),
    }

    def path(role: str, name: str) -> Path | None:
        chosen = change.get(role, role)
        if chosen == "-":
            return None
        if chosen is None:
            return Path("/nowhere") / name
        if chosen == "another":
            return make(name, {"key": key_bytes(ca.wwdr), "wwdr": pem(ca.root.certificate)}[role])
        return make(name, content[str(chosen)])

    certificate = path("certificate", "c.pem")
    password = change.get("password")
    assert certificate is not None
    assert password is None or isinstance(password, bytes)

    with pytest.raises(UnusableKeyMaterial) as refused:
        load_file_signer(certificate, path("key", "k.pem"), password, path("wwdr", "w.pem"))

    assert refused.value.code == code
    assert says in str(refused.value)


def test_of_two_issuers_of_one_name_the_one_whose_key_signed_is_taken(
    ca: DevelopmentCa, make: Make, now: datetime
) -> None:
    namesake_key = rsa.generate_private_key(65537, 2048)
    namesake = issue(namesake_key, ca.wwdr.certificate.subject, [], issuer=None, days=1000, now=now)
    leaf = issue(
        ca.leaf.private_key,
        pass_subject(PASS_TYPE, TEAM),
        pass_extensions(PASS_TYPE),
        issuer=(ca.wwdr.certificate, ca.wwdr.private_key),
        days=9,
        now=now,
    )

    signer = load_file_signer(
        make("c.pem", pem(leaf)),
        make("k.pem", key_bytes(ca.leaf)),
        wwdr=make("w.pem", pem(namesake) + pem(ca.wwdr.certificate)),
    )

    assert signer.chain == (ca.wwdr.certificate,)
