"""Who we are to APNs: the pass type certificate, or a key that signs tokens."""

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.wallets.apple.apns_token import ProviderToken
from app.wallets.apple.pusher import PushRejected


@dataclass(frozen=True)
class ApnsEndpoint:
    """Where and as whom to connect. `token` is None with a certificate."""

    host: str
    port: int
    topic: str
    tls: ssl.SSLContext = field(repr=False)
    token: ProviderToken | None = field(repr=False)

    def headers(self) -> dict[str, str]:
        """The headers that all pushes share just now, the pseudo-header first."""
        headers = {":authority": self.host, "apns-topic": self.topic}
        if self.token is not None:
            headers["authorization"] = self.token.get_header()
        return headers


@dataclass(frozen=True)
class CertificateCredentials:
    """The pass type certificate with its key, the pair that signs the passes.

    Each is PEM bytes or the path of a PEM file. A `key` of None stands in the certificate's file.
    """

    certificate: Path | bytes
    key: Path | bytes | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class TokenCredentials:
    """An APNs key (.p8, PEM bytes or a path) with its ten-character key id and team id."""

    key: Path | bytes = field(repr=False)
    key_id: str
    team_id: str


def open_endpoint(
    credentials: CertificateCredentials | TokenCredentials,
    *,
    topic: str,
    host: str,
    port: int,
    ca_file: Path | None,
) -> ApnsEndpoint:
    """The service with our credentials loaded. Raises PushRejected ("BadCredentials") if they cannot be."""
    tls = ssl.create_default_context(cafile=ca_file)
    tls.set_alpn_protocols(["h2"])
    if isinstance(credentials, TokenCredentials):
        return ApnsEndpoint(host, port, topic, tls, _provider_token(credentials))
    _load_certificate(tls, credentials)
    return ApnsEndpoint(host, port, topic, tls, None)


def _load_certificate(tls: ssl.SSLContext, credentials: CertificateCredentials) -> None:
    key = credentials.key if credentials.key is not None else credentials.certificate
    try:
        with _as_file(credentials.certificate) as certificate_file, _as_file(key) as key_file:
            # An empty password fails on an encrypted key; None would ask on the terminal.
            tls.load_cert_chain(certificate_file, key_file, password=credentials.key_password or "")
    except OSError as error:
        raise PushRejected(
            f"the pass type certificate or its key cannot be loaded ({error}): "
            "give two PEM files that belong together, and the key's password if it has one",
            reason="BadCredentials",
        ) from error


@contextmanager
def _as_file(pem: Path | bytes) -> Generator[Path]:
    """The PEM as a file, which is all that `ssl` reads: bytes go to a private file that is deleted."""
    if isinstance(pem, Path):
        yield pem
        return
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        yield Path(file.name)


def _provider_token(credentials: TokenCredentials) -> ProviderToken:
    try:
        pem = credentials.key if isinstance(credentials.key, bytes) else credentials.key.read_bytes()
        key = load_pem_private_key(pem, password=None)
    except (OSError, ValueError, TypeError) as error:
        raise PushRejected(
            f"the APNs key cannot be read ({error}): give the .p8 file as Apple delivered it",
            reason="BadCredentials",
        ) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise PushRejected(
            "the APNs key is not a P-256 key: give the .p8 file of a key with APNs enabled",
            reason="BadCredentials",
        )
    return ProviderToken(key, key_id=credentials.key_id, team_id=credentials.team_id)
