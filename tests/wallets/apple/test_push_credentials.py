"""Who may push: certificates on both sides of TLS, and provider tokens."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.errors import TemporaryFailure
from app.settings import Settings
from app.simulators.apns import ApnsFaults, ApnsSimulator, ProviderKey, server_tls
from app.wallets.apple.dev_ca import DevelopmentCa
from app.wallets.apple.push import (
    CertificateCredentials,
    PushOutcome,
    PushRejected,
    PushTarget,
    TokenCredentials,
    open_apple_push,
    open_pushers,
)
from tests.apns import (
    KEY_ID,
    TEAM_ID,
    TOPIC,
    client_certificate,
    provider_key_pem,
    public_pem,
    push_token,
)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [("a stranger", "TLSV1_ALERT_UNKNOWN_CA"), (None, "TLSV13_ALERT_CERTIFICATE_REQUIRED")],
)
async def test_a_certificate_that_apns_refuses_stops_the_sending(apns, certificate, reason):
    credentials = (
        CertificateCredentials(client_certificate(certificate))
        if certificate
        else TokenCredentials(provider_key_pem("ours"), KEY_ID, TEAM_ID)
    )
    async with apns(credentials=credentials) as world:
        with pytest.raises(PushRejected, match="refuses the pass type certificate") as failure:
            await world.push.notify_changed(push_token(1))

    assert failure.value.reason == reason
    assert world.simulator.accepted == []


async def test_a_server_with_another_authority_is_not_told_anything(apns):
    async with apns(trusted="a stranger") as world:
        with pytest.raises(PushRejected, match="not trusted") as failure:
            await world.push.notify_changed(push_token(1))

    assert failure.value.reason == "CERTIFICATE_VERIFY_FAILED"
    assert world.simulator.counts.requests == 0


async def test_a_topic_of_somebody_else_stops_the_sending(apns):
    async with apns(topic="pass.example.other") as world:
        with pytest.raises(PushRejected) as failure:
            await world.push.notify_changed(push_token(1))

    assert failure.value.reason == "TopicDisallowed"


async def test_a_thousand_pushes_with_a_key_begin_with_a_single_stream_and_share_one_token(apns):
    async with apns(token_mode=True, latency_seconds=0.002) as world:
        async with asyncio.timeout(20):
            results = await asyncio.gather(
                *(world.push.notify_changed(push_token(number)) for number in range(1000))
            )

    assert {result.outcome for result in results} == {PushOutcome.ACCEPTED}
    assert len(world.simulator.accepted) == 1000
    assert world.simulator.counts.connections == 1
    assert len(world.simulator.provider_tokens.seen) == 1


@pytest.mark.parametrize(
    ("key", "key_id", "team_id"),
    [("another", KEY_ID, TEAM_ID), ("ours", "ZZZZZZZZZZ", TEAM_ID), ("ours", KEY_ID, "OTHER00000")],
)
async def test_a_key_that_is_not_ours_stops_the_sending(apns, key, key_id, team_id):
    credentials = TokenCredentials(provider_key_pem(key), key_id, team_id)
    async with apns(token_mode=True, credentials=credentials) as world:
        for _ in range(2):
            with pytest.raises(PushRejected) as failure:
                await world.push.notify_changed(push_token(1))

    assert failure.value.reason == "InvalidProviderToken"


async def test_a_token_an_hour_old_is_expired(apns):
    late = datetime.now(UTC) + timedelta(hours=1, minutes=5)
    async with apns(token_mode=True, clock=lambda: late) as world:
        with pytest.raises(PushRejected) as failure:
            await world.push.notify_changed(push_token(1))

    assert failure.value.reason == "ExpiredProviderToken"


async def test_a_new_connection_goes_on_with_the_same_token(apns):
    async with apns(token_mode=True, faults=ApnsFaults(drop_every=2)) as world:
        for _ in range(4):
            with suppress(TemporaryFailure):  # ours sends again by itself
                await world.push.notify_changed(push_token(1))

    assert world.simulator.counts.connections >= 2
    assert len(world.simulator.provider_tokens.seen) == 1


async def test_an_encrypted_key_and_files_work_like_one_plain_pem(apns, tmp_path):
    key = load_pem_private_key(client_certificate("Apple"), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "key.pem").write_bytes(encrypted)
    (tmp_path / "certificate.pem").write_bytes(client_certificate("Apple"))

    credentials = CertificateCredentials(
        tmp_path / "certificate.pem", tmp_path / "key.pem", key_password="secret"
    )
    async with apns(credentials=credentials) as world:
        assert (await world.push.notify_changed(push_token(1))).outcome is PushOutcome.ACCEPTED


def _pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _encrypted(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        (lambda: CertificateCredentials(b"no PEM"), "certificate"),
        (lambda: CertificateCredentials(client_certificate("Apple"), provider_key_pem("ours")), "belong"),
        (
            lambda: CertificateCredentials(
                client_certificate("Apple"), _encrypted(ec.generate_private_key(ec.SECP256R1()))
            ),
            "password",
        ),
        (lambda: TokenCredentials(b"no PEM", KEY_ID, TEAM_ID), ".p8"),
        (lambda: TokenCredentials(_pem(rsa.generate_private_key(65537, 2048)), KEY_ID, TEAM_ID), "P-256"),
        (lambda: TokenCredentials(_pem(ec.generate_private_key(ec.SECP384R1())), KEY_ID, TEAM_ID), "P-256"),
    ],
)
def test_credentials_that_cannot_be_used_are_named_before_anything_is_sent(credentials, says):
    with pytest.raises(PushRejected, match=says) as failure:
        open_apple_push(credentials(), topic=TOPIC)

    assert failure.value.reason == "BadCredentials"


@dataclass(frozen=True)
class HsmSigner:
    """A signer whose key cannot be taken out."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    def sign_raw(self, data: bytes) -> bytes:
        raise NotImplementedError


@pytest.fixture
def development_ca(tmp_path) -> DevelopmentCa:
    return DevelopmentCa.open(
        tmp_path, pass_type_identifier=TOPIC, team_identifier=TEAM_ID, now=datetime.now(UTC)
    )


@pytest.mark.parametrize("has_key", [False, True])
async def test_the_settings_open_all_push_services(development_ca, tmp_path, has_key):
    ca = development_ca
    (tmp_path / "key.p8").write_bytes(provider_key_pem("ours"))
    provider_key = ProviderKey(public_pem(provider_key_pem("ours")), KEY_ID, TEAM_ID) if has_key else None
    tls = server_tls(
        ca.server.certificate_path,
        ca.server.private_key_path,
        client_ca=None if has_key else ca.root.certificate_path,
    )
    simulator = ApnsSimulator(tls, topics={TOPIC}, provider_key=provider_key)
    async with simulator.running() as address:
        settings = Settings(
            _env_file=None,
            apns_host=address.host,
            apns_port=address.port,
            apns_ca_path=ca.root.certificate_path,
            apns_key_path=tmp_path / "key.p8" if has_key else None,
            apns_key_id=KEY_ID if has_key else None,
            pass2u_api_key="key",
        )
        signer = HsmSigner(ca.leaf.certificate) if has_key else ca.signer
        pushers = open_pushers(settings, signer)
        await pushers.notify(PushTarget("apns", push_token(1)))
        await pushers.close()

    assert [push.topic for push in simulator.accepted] == [TOPIC]


@pytest.mark.parametrize(
    ("change", "says"),
    [({}, "PASSBELL_APNS_KEY_PATH"), ({"apns_key_path": "key.p8"}, "PASSBELL_APNS_KEY_ID")],
)
def test_a_key_that_cannot_leave_its_token_needs_a_push_key(development_ca, change, says):
    with pytest.raises(PushRejected, match=says):
        open_pushers(Settings(_env_file=None, **change), HsmSigner(development_ca.leaf.certificate))


def test_keys_are_not_in_what_gets_logged():
    assert "PRIVATE" not in repr(TokenCredentials(provider_key_pem("ours"), KEY_ID, TEAM_ID))
    assert "PRIVATE" not in repr(CertificateCredentials(b"public", client_certificate("Apple")))
