"""A development CA for the whole run, an EC signer beside it, and openssl as the judge of signatures."""

import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.wallets.apple.dev_ca import DevelopmentCa, issue, pass_extensions, pass_subject
from app.wallets.apple.signing import FileSigner, Signer
from tests import apns as tests_apns

PASS_TYPE, TEAM = "pass.com.example.coffee", "TEAM123456"

Verify = Callable[[bytes, bytes], subprocess.CompletedProcess[str]]


@pytest.fixture(params=["wire", "aioapns"])
def client(request: pytest.FixtureRequest) -> str:
    """Which client speaks to APNs; a test of one only overrides it: parametrize("client", ["wire"])."""
    return request.param


@pytest.fixture
def apns(client: str) -> Callable[..., AbstractAsyncContextManager[tests_apns.Apns]]:
    """A simulator and a sender to it, through either client."""
    return partial(tests_apns.apns, client=client)


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> DevelopmentCa:
    folder = tmp_path_factory.mktemp("ca")
    return DevelopmentCa.open(folder, pass_type_identifier=PASS_TYPE, team_identifier=TEAM, now=now)


@pytest.fixture(scope="session")
def ec_signer(ca: DevelopmentCa, now: datetime) -> FileSigner:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = issue(
        key,
        pass_subject(PASS_TYPE, TEAM),
        pass_extensions(PASS_TYPE),
        issuer=(ca.wwdr.certificate, ca.wwdr.private_key),
        days=365,
        now=now,
    )
    return FileSigner(leaf, (ca.wwdr.certificate,), key)


@pytest.fixture(params=["rsa", "ec"])
def signer(request: pytest.FixtureRequest, ca: DevelopmentCa, ec_signer: FileSigner) -> Signer:
    return ca.signer if request.param == "rsa" else ec_signer


@pytest.fixture
def openssl_verify(ca: DevelopmentCa, tmp_path: Path) -> Verify:
    """Whether openssl, knowing only the root, takes a signature over a manifest for genuine."""

    def verify(manifest: bytes, signature: bytes) -> subprocess.CompletedProcess[str]:
        (tmp_path / "manifest.json").write_bytes(manifest)
        (tmp_path / "signature").write_bytes(signature)
        command = "openssl cms -verify -binary -inform DER -in signature -content manifest.json -purpose any"
        return subprocess.run(
            [*command.split(), "-CAfile", str(ca.root.certificate_path), "-out", "/dev/null"],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    return verify
