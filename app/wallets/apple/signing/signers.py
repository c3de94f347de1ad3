"""Who signs: the Signer protocol, the signer with its key in memory, and the chain above a certificate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from app.errors import PermanentFailure

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
WWDR_ADDRESS = "https://www.apple.com/certificateauthority/"

_PKCS1, _SHA256, _ECDSA_SHA256 = padding.PKCS1v15(), hashes.SHA256(), ec.ECDSA(hashes.SHA256())


class UnusableKeyMaterial(PermanentFailure):
    """A certificate, key, password or token that cannot sign; the text says what to do about it.

    `code` is stable and in snake case, such as "wrong_password" or "wwdr_missing".
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Signer(Protocol):
    """A certificate and the power to sign with its private key. Safe to share between threads."""

    @property
    def certificate(self) -> x509.Certificate:
        """The pass type certificate."""
        ...

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates above it that go into every pass: the issuer (WWDR), without the root."""
        ...

    def sign_raw(self, data: bytes) -> bytes:
        """The bare signature of `data`: PKCS #1 v1.5 with SHA-256, or DER-encoded ECDSA with SHA-256.

        Raises TemporaryFailure when the key is out of reach for now.
        """
        ...


@dataclass(frozen=True)
class FileSigner:
    """A signer whose private key lies in memory, loaded and checked once."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    private_key: SigningKey = field(repr=False)

    def sign_raw(self, data: bytes) -> bytes:
        """The bare signature of `data`; see Signer."""
        if isinstance(self.private_key, rsa.RSAPrivateKey):
            return self.private_key.sign(data, _PKCS1, _SHA256)
        return self.private_key.sign(data, _ECDSA_SHA256)


def signs_for(certificate: x509.Certificate, sign_raw: Callable[[bytes], bytes]) -> bool:
    """Whether a trial signature by `sign_raw` verifies with the certificate: the private key is its own."""
    trial = b"Passbell: does this key belong to this certificate?"
    signature = sign_raw(trial)
    public_key = certificate.public_key()
    try:
        if isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, trial, _PKCS1, _SHA256)
        elif isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, trial, _ECDSA_SHA256)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether the names agree and the issuer's key verifies the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def chain_of(leaf: x509.Certificate, candidates: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """The issuer of `leaf` and what `candidates` hold above it, nearest first; roots above it left out.

    Raises UnusableKeyMaterial if the issuer is not among the candidates.
    """
    chain: list[x509.Certificate] = []
    below = leaf
    while issuer := next((one for one in candidates if one not in chain and has_issued(one, below)), None):
        if chain and issuer.subject == issuer.issuer:
            break
        chain.append(issuer)
        below = issuer
    if not chain:
        raise UnusableKeyMaterial("wwdr_missing", _missing_issuer(leaf, candidates))
    return tuple(chain)


def _missing_issuer(leaf: x509.Certificate, candidates: Sequence[x509.Certificate]) -> str:
    wanted = f"the certificate of its issuer ({leaf.issuer.rfc4514_string()})"
    remedy = f"download it from {WWDR_ADDRESS} and name the file in PASSBELL_APPLE_WWDR_CERTIFICATE_PATH"
    if not candidates:
        return f"the pass certificate needs {wanted} beside it: {remedy}"
    given = "; ".join(one.subject.rfc4514_string() for one in candidates)
    return f"the pass certificate needs {wanted}, but what was supplied ({given}) did not issue it: {remedy}"
