"""Checking the detached CMS signature of a manifest as iOS does, up to a trusted authority (RFC 5652)."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from app.wallets.apple.signing import has_issued
from app.wallets.apple.signing.der import object_identifier

_DATA = object_identifier("1.2.840.113549.1.7.1")
_SIGNED_DATA = object_identifier("1.2.840.113549.1.7.2")
_CONTENT_TYPE = object_identifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = object_identifier("1.2.840.113549.1.9.4")
_SIGNING_TIME = object_identifier("1.2.840.113549.1.9.5")
_DIGESTS: dict[bytes, tuple[str, hashes.HashAlgorithm]] = {
    object_identifier("2.16.840.1.101.3.4.2.1"): ("sha256", hashes.SHA256()),
    object_identifier("1.3.14.3.2.26"): ("sha1", hashes.SHA1()),  # noqa: S303  Apple's old samples use it
}
_SEQUENCE, _SET, _OCTETS, _INTEGER = 0x30, 0x31, 0x04, 0x02
_FIRST, _SECOND = 0xA0, 0xA1  # context tags [0] and [1]
_CHAIN_MAX = 4


class BadSignature(Exception):
    """The signature does not hold; the text says why."""


@dataclass(frozen=True)
class _Node:
    tag: int
    body: bytes
    whole: bytes  # with tag and length

    def children(self) -> list["_Node"]:
        return list(_nodes(self.body))


def _nodes(der: bytes) -> Iterator[_Node]:
    offset = 0
    while offset < len(der):
        try:
            tag, length = der[offset], der[offset + 1]
            start = offset + 2
            if length & 0x80:
                size = length & 0x7F
                length, start = int.from_bytes(der[start : start + size], "big"), start + size
        except IndexError as error:
            raise BadSignature("the signature is not DER: it ends too early") from error
        end = start + length
        if end > len(der):
            raise BadSignature("the signature is not DER: it ends too early")
        yield _Node(tag, der[start:end], der[offset:end])
        offset = end


def verify(signature: bytes, content: bytes, *, trusted: x509.Certificate, now: datetime) -> x509.Certificate:
    """The certificate that signed `content`, if `trusted` vouches for it. Raises BadSignature."""
    try:
        certificates, signer = _parts(signature)
        leaf, digest, attributes, signed = _signer(signer, certificates)
        _check_attributes(attributes, hashlib.new(_DIGESTS[digest][0], content).digest())
        # What is signed is the SET, of which the message carries another tag (RFC 5652, 5.4).
        _check_key(leaf, signed, bytes([_SET]) + attributes.whole[1:], _DIGESTS[digest][1])
    except (IndexError, KeyError, ValueError, UnsupportedAlgorithm) as error:
        raise BadSignature(f"the signature cannot be read: {error!r}") from error
    _check_chain(leaf, certificates, trusted, now)
    return leaf


def _parts(signature: bytes) -> tuple[list[x509.Certificate], _Node]:
    """The certificates and the one signer of a detached SignedData."""
    kind, explicit = next(_nodes(signature)).children()
    if kind.whole != _SIGNED_DATA or explicit.tag != _FIRST:
        raise BadSignature("the signature is not CMS SignedData")
    _version, _digests, encapsulated, *rest = explicit.children()[0].children()
    if len(encapsulated.children()) != 1 or encapsulated.children()[0].whole != _DATA:
        raise BadSignature("the signature carries the manifest inside: it must be detached")
    signers = rest[-1].children()
    if len(signers) != 1:
        raise BadSignature(f"the manifest is signed by {len(signers)}, not by one")
    found = [node for each in rest if each.tag == _FIRST for node in each.children()]
    return [x509.load_der_x509_certificate(node.whole) for node in found], signers[0]


def _signer(
    signer: _Node, certificates: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, bytes, _Node, bytes]:
    """The signer's certificate, digest algorithm, signed attributes and signature."""
    _version, identity, algorithm, attributes, _key_algorithm, signed, *_ = signer.children()
    issuer, serial = identity.children()
    if attributes.tag != _FIRST or signed.tag != _OCTETS:
        raise BadSignature("the signature has no signed attributes")
    number = int.from_bytes(serial.body, "big")
    for certificate in certificates:
        if certificate.serial_number == number and certificate.issuer.public_bytes() == issuer.whole:
            return certificate, algorithm.children()[0].whole, attributes, signed.body
    raise BadSignature("the signer's certificate is not in the signature")


def _check_attributes(attributes: _Node, digest: bytes) -> None:
    values: dict[bytes, bytes] = {}
    for attribute in attributes.children():
        kind, value = attribute.children()
        values[kind.whole] = value.children()[0].whole
    if values.get(_CONTENT_TYPE) != _DATA:
        raise BadSignature("the signature has no content type")
    if _SIGNING_TIME not in values:
        raise BadSignature("the signature has no signing time")
    if next(_nodes(values[_MESSAGE_DIGEST])).body != digest:
        raise BadSignature("the manifest was changed after it was signed")


def _check_key(leaf: x509.Certificate, signed: bytes, what: bytes, digest: hashes.HashAlgorithm) -> None:
    key = leaf.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signed, what, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signed, what, ec.ECDSA(digest))
        else:
            raise BadSignature("the certificate's key is neither RSA nor EC")
    except InvalidSignature as error:
        raise BadSignature("manifest signature did not verify") from error


def _check_chain(
    leaf: x509.Certificate, certificates: Sequence[x509.Certificate], trusted: x509.Certificate, now: datetime
) -> None:
    current = leaf
    for _ in range(_CHAIN_MAX):
        if not current.not_valid_before_utc <= now <= current.not_valid_after_utc:
            raise BadSignature(f"a certificate is not valid on {now:%Y-%m-%d}")
        if current == trusted or has_issued(trusted, current):
            return
        issuers = [each for each in certificates if each != current and has_issued(each, current)]
        if not issuers:
            break
        current = issuers[0]
    raise BadSignature("trust chain could not be verified")
