"""Telling devices that a pass changed, through the push service each of them registered with."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.errors import PermanentFailure
from app.settings import Settings
from app.wallets.apple import certificates
from app.wallets.apple.android_push import open_pass2u_push, open_walletpasses_push
from app.wallets.apple.apns.sender import WirePush
from app.wallets.apple.apns_credentials import CertificateCredentials, TokenCredentials, open_endpoint
from app.wallets.apple.pusher import (
    DEADLINE_SECONDS,
    ApplePush,
    OnResult,
    PassPusher,
    PushOutcome,
    PushRejected,
    PushResult,
)
from app.wallets.apple.signing import FileSigner, Signer

__all__ = [
    "ApnsClient",
    "ApplePush",
    "CertificateCredentials",
    "OnResult",
    "PassPusher",
    "PassPushers",
    "PushOutcome",
    "PushRejected",
    "PushResult",
    "PushService",
    "PushTarget",
    "ServiceMissing",
    "TokenCredentials",
    "open_apple_push",
    "open_pushers",
]

PushService = Literal["apns", "walletpasses", "pass2u"]
ApnsClient = Literal["wire", "aioapns"]

APNS_HOST = "api.push.apple.com"  # passes have no sandbox
APNS_PORT = 443


@dataclass(frozen=True)
class PushTarget:
    """One device as a registration names it: the service that reaches it, and its push token."""

    push_service: PushService
    push_token: str = field(repr=False)


class ServiceMissing(PermanentFailure):
    """A device registered with a push service that has no settings. The other services are not concerned."""

    reason = "NotConfigured"


class PassPushers:
    """The push services of one installation; a service that is not configured is None."""

    def __init__(
        self,
        *,
        apns: ApplePush | None,
        walletpasses: PassPusher | None = None,
        pass2u: PassPusher | None = None,
    ) -> None:
        self._by_service: dict[PushService, PassPusher | None] = {
            "apns": apns,
            "walletpasses": walletpasses,
            "pass2u": pass2u,
        }

    async def notify(self, target: PushTarget) -> PushResult:
        """Ask one device, through the service it registered with, to fetch its changed passes.

        Raises what `PassPusher.notify_changed` raises, and ServiceMissing.
        """
        return await self._pusher(target.push_service).notify_changed(target.push_token)

    async def notify_many(
        self, push_service: PushService, push_tokens: Iterable[str], on_result: OnResult
    ) -> None:
        """Ask many devices of one service, as `PassPusher.notify_many` does. Raises ServiceMissing too."""
        await self._pusher(push_service).notify_many(push_tokens, on_result)

    def _pusher(self, push_service: PushService) -> PassPusher:
        pusher = self._by_service[push_service]
        if pusher is None:
            raise ServiceMissing(f"no settings for the push service {push_service!r}")
        return pusher

    async def close(self) -> None:
        """Give back all connections."""
        for pusher in self._by_service.values():
            if pusher is not None:
                await pusher.close()


def open_apple_push(
    credentials: CertificateCredentials | TokenCredentials,
    *,
    topic: str,
    host: str = APNS_HOST,
    port: int = APNS_PORT,
    ca_file: Path | None = None,
    client: ApnsClient = "wire",
    deadline_seconds: float = DEADLINE_SECONDS,
) -> ApplePush:
    """A sender of pushes for one pass type; it connects at the first push.

    `topic` is the pass type identifier. `ca_file` (PEM) replaces the system's authorities, for a
    simulator. Raises PushRejected with the reason "BadCredentials" if they cannot be read.
    """
    endpoint = open_endpoint(credentials, topic=topic, host=host, port=port, ca_file=ca_file)
    if client == "aioapns":
        # Loaded where it is wanted: it takes three megabytes.
        aioapns = import_module("app.wallets.apple.apns_aioapns")
        return cast(ApplePush, aioapns.AioapnsPush(endpoint, deadline_seconds=deadline_seconds))
    return WirePush(endpoint, deadline_seconds=deadline_seconds)


def open_pushers(settings: Settings, signer: Signer) -> PassPushers:
    """The push services the settings name, for the pass type of the signer's certificate.

    Raises PushRejected with the reason "BadCredentials" when there is nothing usable to connect with.
    """
    pass_type_identifier, team_identifier = certificates.identifiers_of(signer.certificate)
    topic = settings.apple_pass_type_identifier or pass_type_identifier
    pass2u_key = settings.pass2u_api_key
    walletpasses_key = settings.walletpasses_api_key
    return PassPushers(
        apns=open_apple_push(
            _credentials(settings, signer, settings.apple_team_identifier or team_identifier),
            topic=topic,
            host=settings.apns_host,
            port=settings.apns_port,
            ca_file=settings.apns_ca_path,
            client=settings.apns_client,
        ),
        walletpasses=open_walletpasses_push(
            topic=topic,
            url=settings.walletpasses_url,
            api_key=walletpasses_key.get_secret_value() if walletpasses_key else None,
        ),
        pass2u=open_pass2u_push(topic=topic, url=settings.pass2u_url, api_key=pass2u_key.get_secret_value())
        if pass2u_key
        else None,
    )


def _credentials(
    settings: Settings, signer: Signer, team_identifier: str
) -> CertificateCredentials | TokenCredentials:
    if settings.apns_key_path is not None:
        if not settings.apns_key_id:
            raise PushRejected(
                "PASSBELL_APNS_KEY_PATH needs PASSBELL_APNS_KEY_ID, the key's ten characters",
                reason="BadCredentials",
            )
        return TokenCredentials(settings.apns_key_path, settings.apns_key_id, team_identifier)
    if not isinstance(signer, FileSigner):
        raise PushRejected(
            "a key inside a PKCS#11 token cannot open the connection to APNs: "
            "set PASSBELL_APNS_KEY_PATH and PASSBELL_APNS_KEY_ID to a push key (.p8) of the team",
            reason="BadCredentials",
        )
    chain = [signer.certificate, *signer.chain]
    return CertificateCredentials(
        certificate=b"".join(each.public_bytes(Encoding.PEM) for each in chain),
        key=signer.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
