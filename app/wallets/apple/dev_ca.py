"""A certificate authority of one's own for the demo and the tests: real signatures that no phone accepts."""

import fcntl
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.wallets.apple.certificates import (
    DEVELOPMENT_MARK,
    PASS_TYPE_EXTENSION,
    PASS_TYPE_USAGE,
    days_left,
    identifiers_of,
    is_development,
    refuse_development,
)
from app.wallets.apple.signing import FileSigner, SigningKey, has_issued
from app.wallets.apple.signing.der import UTF8_STRING, encode

__all__ = [
    "DevelopmentCa",
    "KeyPair",
    "is_development",
    "issue",
    "pass_extensions",
    "pass_subject",
    "refuse_development",
]

CA_DAYS, LEAF_DAYS, RENEWED_BEFORE_DAYS = 3650, 365, 30
_LOOPBACK = x509.SubjectAlternativeName(
    [
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.IPAddress(ip_address("::1")),
    ]
)


@dataclass(frozen=True)
class KeyPair:
    """A certificate, its private key, and the PEM files that hold the two."""

    certificate: x509.Certificate
    private_key: SigningKey
    certificate_path: Path
    private_key_path: Path


@dataclass(frozen=True)
class DevelopmentCa:
    """A root, an issuer that stands for Apple's WWDR, a pass type certificate, a TLS server certificate.

    Every name in them says DEVELOPMENT ONLY, NOT APPLE; see is_development and refuse_development.
    """

    root: KeyPair
    wwdr: KeyPair
    leaf: KeyPair
    server: KeyPair  # for localhost, 127.0.0.1 and ::1, issued by the root

    @classmethod
    def open(
        cls, folder: Path, *, pass_type_identifier: str, team_identifier: str, now: datetime
    ) -> "DevelopmentCa":
        """The CA kept in `folder`, made there the first time (about half a second).

        A certificate is issued anew when it ends within 30 days, the leaf also for other identifiers.
        Several processes may open one folder at once. Keys are readable by their owner only.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted = (pass_type_identifier, team_identifier)
        with _alone_in(folder):
            root = _kept(folder, "root", None, now) or _make(
                folder, "root", None, _name("Root CA"), _authority(path_length=1), CA_DAYS, now
            )
            wwdr = _kept(folder, "wwdr", root, now) or _make(
                folder, "wwdr", root, _name("Developer Relations CA"), _authority(path_length=0), CA_DAYS, now
            )
            leaf = _kept(folder, "pass", wwdr, now)
            if leaf is None or identifiers_of(leaf.certificate) != wanted:
                leaf = _make(
                    folder,
                    "pass",
                    wwdr,
                    pass_subject(*wanted),
                    pass_extensions(pass_type_identifier),
                    LEAF_DAYS,
                    now,
                )
            server = _kept(folder, "server", root, now) or _make(
                folder, "server", root, _name("localhost"), _server(), LEAF_DAYS, now
            )
        return cls(root, wwdr, leaf, server)

    @property
    def signer(self) -> FileSigner:
        """A signer with the pass type certificate."""
        return FileSigner(self.leaf.certificate, (self.wwdr.certificate,), self.leaf.private_key)


def issue(
    private_key: SigningKey,
    subject: x509.Name,
    extensions: Sequence[x509.ExtensionType],
    *,
    issuer: tuple[x509.Certificate, SigningKey] | None,
    days: int,
    now: datetime,
) -> x509.Certificate:
    """A certificate for `private_key`, valid from a day ago; `issuer` None: signed by itself."""
    public_key = private_key.public_key()
    issuer_name, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (subject, private_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    for extension in extensions:
        is_critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(issuer_key, hashes.SHA256())


def pass_subject(pass_type_identifier: str, team_identifier: str) -> x509.Name:
    """The subject of a development pass type certificate: as Apple writes it, and marked."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, pass_type_identifier),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Pass Type ID: {pass_type_identifier}"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, team_identifier),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_MARK),
        ]
    )


def pass_extensions(pass_type_identifier: str) -> list[x509.ExtensionType]:
    """The extensions of a pass type certificate, as read from Apple's."""
    return [
        x509.BasicConstraints(ca=False, path_length=None),
        _key_usage(digital_signature=True),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, PASS_TYPE_USAGE]),
        x509.UnrecognizedExtension(PASS_TYPE_EXTENSION, encode(UTF8_STRING, pass_type_identifier.encode())),
    ]


def _authority(path_length: int) -> list[x509.ExtensionType]:
    return [x509.BasicConstraints(ca=True, path_length=path_length), _key_usage(digital_signature=False)]


def _server() -> list[x509.ExtensionType]:
    return [
        x509.BasicConstraints(ca=False, path_length=None),
        _key_usage(digital_signature=True),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        _LOOPBACK,
    ]


def _key_usage(*, digital_signature: bool) -> x509.KeyUsage:
    """For signatures over data, or else over certificates."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=not digital_signature,
        crl_sign=not digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_MARK),
        ]
    )


@contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.pem", folder / f"{name}-key.pem"


def _kept(folder: Path, name: str, issuer: KeyPair | None, now: datetime) -> KeyPair | None:
    """The pair in the folder, if it is there, whole, issued by `issuer` and good for a while."""
    certificate_path, key_path = _paths(folder, name)
    if not (certificate_path.exists() and key_path.exists()):
        return None
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    private_key = load_pem_private_key(key_path.read_bytes(), None)
    if not isinstance(private_key, rsa.RSAPrivateKey) or certificate.public_key() != private_key.public_key():
        return None  # the process ended between writing the two
    if not has_issued(issuer.certificate if issuer else certificate, certificate):
        return None
    if now < certificate.not_valid_before_utc or days_left(certificate, now) < RENEWED_BEFORE_DAYS:
        return None
    return KeyPair(certificate, private_key, certificate_path, key_path)


def _make(
    folder: Path,
    name: str,
    issuer: KeyPair | None,
    subject: x509.Name,
    extensions: Sequence[x509.ExtensionType],
    days: int,
    now: datetime,
) -> KeyPair:
    certificate_path, key_path = _paths(folder, name)
    private_key = rsa.generate_private_key(65537, 2048)
    above = (issuer.certificate, issuer.private_key) if issuer else None
    certificate = issue(private_key, subject, extensions, issuer=above, days=days, now=now)
    encoded_key = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(key_path, encoded_key)
    _write(certificate_path, certificate.public_bytes(Encoding.PEM))
    return KeyPair(certificate, private_key, certificate_path, key_path)


def _write(path: Path, content: bytes) -> None:
    """Write a file nobody else may read; it appears whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
    partial.replace(path)
