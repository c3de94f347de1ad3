"""The world outside, on loopback sockets: Apple's push service, Google Wallet and an SMS gateway.

The demo, the tests and the benchmarks all run in it. Real credentials change settings, not code.
"""

import secrets
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.clock import Clock, utc_now
from app.simulators import google_wallet, sms_gateway
from app.simulators.apns import ApnsFaults, ApnsSimulator
from app.simulators.google_wallet import GoogleWalletSimulator
from app.simulators.google_wallet.account import open_account
from app.simulators.sms_gateway import SmsGateway
from app.wallets.apple.dev_ca import DevelopmentCa

PASS_TYPE_IDENTIFIER = "pass.example.passbell.demo"  # noqa: S105  a name, not a secret
TEAM_IDENTIFIER = "DEMO000000"


@dataclass(frozen=True)
class World:
    """What stands for Apple, Google and the SMS gateway, and the settings that make Passbell use it."""

    ca: DevelopmentCa
    apns: ApnsSimulator
    google: GoogleWalletSimulator
    sms: SmsGateway
    settings: dict[str, Any]


@asynccontextmanager
async def simulated_world(
    folder: Path,
    *,
    latency_seconds: float | tuple[float, float] = 0.0,
    faults: ApnsFaults | None = None,
    clock: Clock = utc_now,
) -> AsyncGenerator[World]:
    """Open the simulators; certificates are kept in `folder`. `latency_seconds` is APNs' time to answer."""
    ca = DevelopmentCa.open(
        folder, pass_type_identifier=PASS_TYPE_IDENTIFIER, team_identifier=TEAM_IDENTIFIER, now=clock()
    )
    apns = ApnsSimulator(
        _server_tls(ca),
        topics={PASS_TYPE_IDENTIFIER},
        latency_seconds=latency_seconds,
        faults=faults,
        clock=clock,
    )
    api_key = secrets.token_hex(16)
    gateway = SmsGateway(api_key=api_key)
    account = open_account(folder)
    google = GoogleWalletSimulator({account.email: account.public_key}, clock=clock)
    async with (
        apns.running() as push_address,
        google_wallet.running(google) as google_url,
        sms_gateway.running(gateway) as sms_url,
    ):
        yield World(
            ca,
            apns,
            google,
            gateway,
            {
                "mode": "demo",
                "apple_certificate_path": ca.leaf.certificate_path,
                "apple_private_key_path": ca.leaf.private_key_path,
                "apple_wwdr_certificate_path": ca.wwdr.certificate_path,
                "apns_host": push_address.host,
                "apns_port": push_address.port,
                "apns_ca_path": ca.root.certificate_path,
                "google_issuer_id": google_wallet.ISSUER_ID,
                "google_service_account_path": account.write(google_url),
                "google_api_url": google_url,
                "google_keys_url": f"{google_url}/gp/m/issuer/keys",
                "google_save_url": f"{google_url}/gp/v/save",
                "sms_provider": "generic",
                "sms_api_url": f"{sms_url}/messages",
                "sms_api_key": api_key,
                "sms_generic_find_url": f"{sms_url}/messages/{{client_id}}",
            },
        )


def _server_tls(ca: DevelopmentCa) -> ssl.SSLContext:
    """APNs' side: its server certificate, and every client must show one of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(ca.server.certificate_path, ca.server.private_key_path)
    context.load_verify_locations(ca.root.certificate_path)
    context.load_verify_locations(ca.wwdr.certificate_path)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
