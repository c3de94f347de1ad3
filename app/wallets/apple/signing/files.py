"""Signers from files: PEM, encrypted PEM, DER and PKCS #12."""

import re
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from app.wallets.apple.signing.signers import FileSigner, SigningKey, UnusableKeyMaterial, chain_of

PASSWORD_VARIABLE = "PASSBELL_APPLE_PRIVATE_KEY_PASSWORD"  # noqa: S105  (the name of a setting)
RSA_BITS_MIN = 2048

_PEM_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PEM_KEY = re.compile(
    b"-----BEGIN (?P<kind>(?:[A-Z]+ )?PRIVATE KEY)-----.+?-----END (?P=kind)-----", re.DOTALL
)


def load_file_signer(
    certificate: Path,
    private_key: Path | None = None,
    password: bytes | None = None,
    wwdr: Path | None = None,
) -> FileSigner:
    """A signer from files: a .p12, or a PEM or DER certificate with a PEM or DER key.

    `private_key` may be omitted when the certificate's file holds the key too. `wwdr` is the issuer's
    certificate (AppleWWDRCAG4.cer) and may be omitted when the certificate's file brings it along.
    `password` opens an encrypted key or a .p12. Checking an RSA key takes about 30 ms: load once.

    Raises UnusableKeyMaterial, which says what to do.
    """
    content = _read(certificate)
    if _is_pkcs12(content):
        key, found = _open_pkcs12(certificate, content, password)
    else:
        key, found = None, load_certificates(certificate)
    if private_key is not None:
        key = _open_key(private_key, password)
    elif key is None:
        key = _open_key(certificate, password)

    usable = _usable(key, private_key or certificate)
    leaf = _certificate_of(usable, found, certificate, private_key or certificate)
    issuers = [one for one in found if one != leaf]
    if wwdr is not None:
        issuers += load_certificates(wwdr)
    return FileSigner(leaf, chain_of(leaf, issuers), usable)


def load_certificates(path: Path) -> list[x509.Certificate]:
    """Every certificate in a file, PEM (one or several) or DER, in the order of the file.

    Raises UnusableKeyMaterial if it holds none.
    """
    content = _read(path)
    try:
        if blocks := _PEM_CERTIFICATE.findall(content):
            return [x509.load_pem_x509_certificate(block) for block in blocks]
        return [x509.load_der_x509_certificate(content)]
    except ValueError as error:
        raise UnusableKeyMaterial(
            "not_a_certificate",
            f"{path} holds no certificate: give the .cer file from Apple's developer site, the same as PEM"
            f" (-----BEGIN CERTIFICATE-----), or a .p12 file exported with its key",
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableKeyMaterial(
            "file_unreadable", f"{path} cannot be read ({error.strerror}): check the path and its permissions"
        ) from error


def _is_pkcs12(content: bytes) -> bool:
    """Whether it is a PFX: a DER SEQUENCE that begins with the version, 3 (RFC 7292, 4)."""
    return content[:1] == b"\x30" and b"\x02\x01\x03" in content[2:9]


def _open_pkcs12(
    path: Path, content: bytes, password: bytes | None
) -> tuple[PrivateKeyTypes | None, list[x509.Certificate]]:
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(content, password)
    except ValueError as error:
        code = "wrong_password" if password else "password_missing"
        raise UnusableKeyMaterial(
            code,
            f"{path} does not open: put the password chosen when it was exported into {PASSWORD_VARIABLE}"
            " (if it is right, the file is damaged: export it again)",
        ) from error
    if leaf is None and not others:
        raise UnusableKeyMaterial(
            "not_a_certificate", f"{path} holds no certificate: export certificate and key together"
        )
    return key, [leaf, *others] if leaf else others


def _open_key(path: Path, password: bytes | None) -> PrivateKeyTypes:
    content = _read(path)
    pem = _PEM_KEY.search(content)
    if pem is None and b"-----BEGIN" in content:
        raise UnusableKeyMaterial("no_private_key", _no_key(path))
    block = pem.group() if pem else content
    load = load_pem_private_key if pem else load_der_private_key
    try:
        return load(block, password)
    except TypeError as error:
        if password:  # it is not encrypted: the password was for something else
            return _open_key(path, None)
        raise UnusableKeyMaterial(
            "password_missing", f"{path} is encrypted: put its password into {PASSWORD_VARIABLE}"
        ) from error
    except UnsupportedAlgorithm as error:
        raise UnusableKeyMaterial("unsupported_key", _unsupported(path)) from error
    except ValueError as error:
        if password and (pem is None or b"ENCRYPTED" in block):
            raise UnusableKeyMaterial(
                "wrong_password",
                f"{path} does not open with the password in {PASSWORD_VARIABLE}: correct one of the two",
            ) from error
        raise UnusableKeyMaterial("no_private_key", _no_key(path)) from error


def _usable(key: PrivateKeyTypes, path: Path) -> SigningKey:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS_MIN:
        return key
    raise UnusableKeyMaterial("unsupported_key", _unsupported(path))


def _certificate_of(
    key: SigningKey, found: list[x509.Certificate], certificate_path: Path, key_path: Path
) -> x509.Certificate:
    public_key = key.public_key()
    for certificate in found:
        if certificate.public_key() == public_key:
            return certificate
    raise UnusableKeyMaterial(
        "key_mismatch",
        f"the private key in {key_path} does not belong to the certificate in {certificate_path}"
        f" ({found[0].subject.rfc4514_string()}): supply the key whose signing request was sent to Apple,"
        " or have a new certificate issued for this key",
    )


def _no_key(path: Path) -> str:
    return (
        f"{path} holds no private key: give the key whose signing request was sent to Apple, as PEM"
        " (-----BEGIN PRIVATE KEY-----), or a .p12 file exported with its key"
    )


def _unsupported(path: Path) -> str:
    return f"the key in {path} cannot sign passes: Apple's certificates are made for RSA keys of 2048 bits"
