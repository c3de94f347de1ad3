"""The signature file of a pass: a detached CMS SignedData (RFC 5652) over manifest.json."""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from app.wallets.apple.signing import der
from app.wallets.apple.signing.signers import Signer

_DATA = der.object_identifier("1.2.840.113549.1.7.1")
_SIGNED_DATA = der.object_identifier("1.2.840.113549.1.7.2")
_CONTENT_TYPE = der.object_identifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.object_identifier("1.2.840.113549.1.9.4")
_SIGNING_TIME = der.object_identifier("1.2.840.113549.1.9.5")
_ABSENT = der.encode(der.NULL)
_SHA256 = der.encode(der.SEQUENCE, der.object_identifier("2.16.840.1.101.3.4.2.1"), _ABSENT)
_RSA = der.encode(der.SEQUENCE, der.object_identifier("1.2.840.113549.1.1.1"), _ABSENT)
_ECDSA_SHA256 = der.encode(der.SEQUENCE, der.object_identifier("1.2.840.10045.4.3.2"))
_VERSION_1 = der.integer(1)

_UTC_TIME_OCTETS = 13  # YYMMDDhhmmssZ
_UTC_TIME_ENDS = 2050  # RFC 5652, 11.3: from this year on another encoding is due
_SHA256_OCTETS = 32


class CmsSigner:
    """Signs manifests with one certificate.

    All of the signature but the time, the digest and the signature value is the same for every pass and
    is encoded once, here. Holds nothing that changes: any number of threads may share it.
    """

    def __init__(self, signer: Signer) -> None:
        self.signer = signer
        certificate = signer.certificate
        self._content_type = der.encode(der.SEQUENCE, _CONTENT_TYPE, der.encode(der.SET, _DATA))
        # DER orders a SET by encoding; these three differ first in their lengths: 24 < 28 < 47.
        self._time_head = _attribute_head(_SIGNING_TIME, der.UTC_TIME, _UTC_TIME_OCTETS)
        self._digest_head = _attribute_head(_MESSAGE_DIGEST, der.OCTET_STRING, _SHA256_OCTETS)
        self._attributes_length = der.length(
            len(self._content_type)
            + len(self._time_head)
            + _UTC_TIME_OCTETS
            + len(self._digest_head)
            + _SHA256_OCTETS
        )
        # Signed are the attributes as a SET, sent are the same octets tagged [0] (RFC 5652, 5.4).
        self._signed_head = bytes((der.SET,)) + self._attributes_length + self._content_type
        self._sent_head = bytes((der.CONTEXT_0,)) + self._attributes_length + self._content_type
        self._signer_info_head = b"".join(
            (
                _VERSION_1,
                der.encode(
                    der.SEQUENCE, certificate.issuer.public_bytes(), der.integer(certificate.serial_number)
                ),
                _SHA256,
                self._sent_head,
            )
        )
        self._signed_data_head = b"".join(
            (
                _VERSION_1,
                der.encode(der.SET, _SHA256),
                der.encode(der.SEQUENCE, _DATA),
                _certificate_set(certificate, *signer.chain),
            )
        )
        self._algorithm = _RSA if isinstance(certificate.public_key(), rsa.RSAPublicKey) else _ECDSA_SHA256
        # An RSA signature has one length, an ECDSA signature a few.
        self._envelope = lru_cache(maxsize=16)(self._encode_envelope)

    def sign(self, manifest: bytes, *, now: datetime) -> bytes:
        """The signature over `manifest`, which it does not contain; `now` (aware) is its signing time."""
        attributes = b"".join((self._time_head, _utc_time(now), self._digest_head, sha256(manifest).digest()))
        signature = self.signer.sign_raw(self._signed_head + attributes)
        head, middle = self._envelope(len(signature))
        return b"".join((head, attributes, middle, signature))

    def _encode_envelope(self, signature_length: int) -> tuple[bytes, bytes]:
        """What precedes the variable attributes, and what stands between them and the signature value."""
        middle = self._algorithm + bytes((der.OCTET_STRING,)) + der.length(signature_length)
        variable_length = len(self._time_head) + _UTC_TIME_OCTETS + len(self._digest_head) + _SHA256_OCTETS
        rest_length = variable_length + len(middle) + signature_length
        head = self._signer_info_head
        for tag, before in (
            (der.SEQUENCE, b""),  # SignerInfo
            (der.SET, self._signed_data_head),  # SignerInfos, the last member of SignedData
            (der.SEQUENCE, b""),  # SignedData
            (der.CONTEXT_0, _SIGNED_DATA),  # the content of ContentInfo
            (der.SEQUENCE, b""),  # ContentInfo
        ):
            head = before + bytes((tag,)) + der.length(len(head) + rest_length) + head
        return head, middle


def _attribute_head(kind: bytes, tag: int, octets: int) -> bytes:
    """An attribute of one value, up to that value's own octets."""
    return der.encode(der.SEQUENCE, kind, der.encode(der.SET, der.encode(tag, bytes(octets))))[:-octets]


def _certificate_set(*certificates: x509.Certificate) -> bytes:
    encoded = {certificate.public_bytes(Encoding.DER) for certificate in certificates}
    return der.encode(der.CONTEXT_0, *sorted(encoded))


def _utc_time(now: datetime) -> bytes:
    if now.tzinfo is None:
        raise ValueError("the signing time must carry its time zone")
    utc = now.astimezone(UTC)
    if utc.year >= _UTC_TIME_ENDS:
        raise ValueError(f"cannot sign in {utc.year}: UTCTime ends with {_UTC_TIME_ENDS - 1}")
    return utc.strftime("%y%m%d%H%M%SZ").encode()
