"""An APNs simulator with certificates, and a sender connected to it."""

import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from app.simulators.apns import ApnsSimulator, ProviderKey
from app.wallets.apple.push import (
    ApnsClient,
    ApplePush,
    CertificateCredentials,
    TokenCredentials,
    open_apple_push,
)

TOPIC = "pass.example.passbell"
KEY_ID, TEAM_ID = "ABC123DEFG", "TEAM123456"


def push_token(number: int) -> str:
    return f"{number:064x}"


@cache
def authority(name: str) -> trustme.CA:
    return trustme.CA(organization_name=name)


@cache
def provider_key_pem(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def client_certificate(authority_name: str) -> bytes:
    """Certificate and key in one PEM."""
    return authority(authority_name).issue_cert("pass.example").private_key_and_cert_chain_pem.bytes()


def public_pem(private_pem: bytes) -> bytes:
    key = load_pem_private_key(private_pem, None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def server_tls(*, asks_for_certificate: bool = True) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.set_alpn_protocols(["h2"])
    authority("Apple").issue_cert("localhost", "127.0.0.1").configure_cert(tls)
    if asks_for_certificate:
        tls.verify_mode = ssl.CERT_REQUIRED
        authority("Apple").configure_trust(tls)
    return tls


@contextmanager
def ca_file(authority_name: str) -> Generator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ca.pem"
        authority(authority_name).cert_pem.write_to_path(path)
        yield path


@dataclass(frozen=True)
class Apns:
    """A running simulator and a sender to it; `open_sender(port)` makes another one."""

    simulator: ApnsSimulator
    push: ApplePush
    open_sender: Callable[[int], ApplePush]


@asynccontextmanager
async def apns(
    *,
    credentials: CertificateCredentials | TokenCredentials | None = None,
    token_mode: bool = False,
    topic: str = TOPIC,
    deadline_seconds: float = 5,
    trusted: str = "Apple",
    client: ApnsClient = "wire",
    **planned,
) -> AsyncGenerator[Apns]:
    """A simulator and a sender with the right credentials, unless others are given."""
    key = ProviderKey(public_pem(provider_key_pem("ours")), KEY_ID, TEAM_ID) if token_mode else None
    right = (
        TokenCredentials(provider_key_pem("ours"), KEY_ID, TEAM_ID)
        if token_mode
        else CertificateCredentials(client_certificate("Apple"))
    )
    tls = server_tls(asks_for_certificate=not token_mode)
    simulator = ApnsSimulator(tls, topics={TOPIC}, provider_key=key, **planned)
    with ca_file(trusted) as ca:

        def open_sender(port: int) -> ApplePush:
            return open_apple_push(
                credentials or right,
                topic=topic,
                host="127.0.0.1",
                port=port,
                ca_file=ca,
                client=client,
                deadline_seconds=deadline_seconds,
            )

        async with simulator.running() as address:
            push = open_sender(address.port)
            try:
                yield Apns(simulator, push, open_sender)
            finally:
                await push.close()
