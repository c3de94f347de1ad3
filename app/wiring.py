"""Settings -> Services: the one place where adapters are constructed."""

import asyncio
import hashlib
import hmac
import os
import secrets
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from app import migrations
from app.channels.email import EmailSender, open_email
from app.channels.sms import SmsProvider
from app.channels.sms.providers import open_provider
from app.channels.webhooks import WebhookCaller
from app.clock import Clock, Sleep, utc_now
from app.crm.bitrix24.rest import Bitrix24Rest
from app.db import Sessions, open_engine, open_read_engine, open_sessions
from app.i18n import Texts, load_texts
from app.passes.versions import APPLE, GOOGLE
from app.settings import Settings
from app.wallets.apple import certificates, signing
from app.wallets.apple.push import PassPushers, open_pushers
from app.wallets.apple.push_stop import PushStop
from app.wallets.apple.wallet import AppleWallet
from app.wallets.google.api import GoogleApi
from app.wallets.google.service_account import load_service_account
from app.wallets.google.wallet import GoogleWallet
from app.wallets.templates import PassTemplate, load_templates
from app.wallets.web.encryption import Vapid
from app.wallets.web.push import WebPush

TEXTS = Path(__file__).parent / "web" / "texts"

SECRET_BYTES_MIN = 32


class BadSecretKey(Exception):
    """The installation's secret is there but cannot be one."""


@dataclass(frozen=True)
class Services:
    """Everything a door or a job may need. Functions take the one piece they use, not this."""

    settings: Settings
    secret_key: bytes
    engine: AsyncEngine
    sessions: Sessions
    reader: AsyncEngine  # one statement at a time, no transaction: it waits for no writer
    read_sessions: Sessions
    templates: dict[str, PassTemplate]
    texts: Texts
    signer: signing.Signer | None  # None until a certificate is set
    apple: AppleWallet | None
    signing_threads: ThreadPoolExecutor  # where passes are signed for phones
    google: GoogleWallet | None  # None until an issuer and its service account are set
    google_api: GoogleApi | None
    web_push: WebPush
    pushers: PassPushers | None
    push_stop: PushStop  # pushes pause after our credentials were refused
    sms: SmsProvider
    email: EmailSender | None
    webhooks: WebhookCaller
    bitrix24: Bitrix24Rest
    clock: Clock
    sleep: Sleep = asyncio.sleep

    def wallets(self, country: str) -> tuple[str, ...]:
        """The wallets in which a new pass of a programme in this country lives."""
        is_offered = self.google is not None and country not in self.settings.google_unavailable_countries
        return (APPLE, GOOGLE) if is_offered else (APPLE,)


@asynccontextmanager
async def open_services(
    settings: Settings, *, clock: Clock = utc_now, sleep: Sleep = asyncio.sleep
) -> AsyncGenerator[Services]:
    """Open everything the settings name, the database at its newest revision; close it all at the end."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    templates = load_templates(settings.pass_templates_dir)
    signer = load_signer(settings)
    engine = open_engine(settings.database_url)
    reader = _open_reader(settings, engine)
    await migrations.upgrade(engine)
    secret_key = load_secret_key(settings)
    google = _open_google(settings, templates, secret_key)
    google_api = _open_google_api(settings, google) if google else None
    receipts = f"{settings.public_url}/hooks/sms/{receipt_token(settings, secret_key)}"
    sms = open_provider(settings, receipt_url=receipts)
    pushers = open_pushers(settings, signer) if signer else None
    web_push = _open_web_push(settings, secret_key)
    bitrix24 = Bitrix24Rest()
    webhooks = WebhookCaller(may_be_private=settings.webhooks_may_be_private)
    signing_threads = ThreadPoolExecutor(os.cpu_count(), "sign")
    try:
        yield Services(
            settings=settings,
            secret_key=secret_key,
            engine=engine,
            sessions=open_sessions(engine),
            reader=reader,
            read_sessions=open_sessions(reader),
            templates=templates,
            texts=load_texts(TEXTS),
            signer=signer,
            apple=_open_apple(settings, signer, templates) if signer else None,
            signing_threads=signing_threads,
            google=google,
            google_api=google_api,
            web_push=web_push,
            pushers=pushers,
            push_stop=PushStop(),
            sms=sms,
            email=open_email(settings),
            webhooks=webhooks,
            bitrix24=bitrix24,
            clock=clock,
            sleep=sleep,
        )
    finally:
        if google_api:
            await google_api.close()
        await webhooks.close()
        signing_threads.shutdown()
        await sms.close()
        await web_push.close()
        await bitrix24.close()
        if pushers:
            await pushers.close()
        await reader.dispose()
        await engine.dispose()


def _open_reader(settings: Settings, engine: AsyncEngine) -> AsyncEngine:
    if settings.uses_sqlite:
        return open_read_engine(settings.database_url)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def load_secret_key(settings: Settings) -> bytes:
    """The installation's secret: from the settings, else made once and kept in the data folder, mode 0600."""
    if settings.secret_key:
        return settings.secret_key.get_secret_value().encode()
    path = settings.data_dir / "secret_key"
    if not path.exists():
        _make_secret(path)
    key = path.read_text("ascii").strip().encode()
    if len(key) < SECRET_BYTES_MIN:
        raise BadSecretKey(f"{path} holds no secret: restore it from a backup, or every pass issued is lost")
    return key


def _make_secret(path: Path) -> None:
    """Write a new secret: whole, on the disk, and not over the one another process wrote meanwhile."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fresh.touch(mode=0o600)
    with fresh.open("w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    finally:
        fresh.unlink()


def receipt_token(settings: Settings, secret_key: bytes) -> str:
    """The secret part of the address that SMS receipts come to, the same for the installation's life."""
    if settings.sms_receipt_token is not None:
        return settings.sms_receipt_token.get_secret_value()
    return hmac.digest(secret_key, b"passbell.sms-receipts.v1", hashlib.sha256).hex()[:32]


def reports_token(secret_key: bytes) -> str:
    """The secret part of the address that reports about letters come to."""
    return hmac.digest(secret_key, b"passbell.email-reports.v1", hashlib.sha256).hex()[:32]


def reports_address(settings: Settings, secret_key: bytes) -> str:
    """Where a mail server hands over what bounced, and who complained."""
    return f"{settings.public_url}/hooks/email/{reports_token(secret_key)}"


def load_signer(settings: Settings) -> signing.Signer | None:
    """The signer the settings name, or None. The development CA only signs in demo mode."""
    if settings.apple_certificate_path is None:
        return None
    signer = signing.load_signer(settings)
    if settings.mode == "production":
        certificates.refuse_development(signer.certificate)
    return signer


def _open_apple(
    settings: Settings, signer: signing.Signer, templates: dict[str, PassTemplate]
) -> AppleWallet:
    named = certificates.identifiers_of(signer.certificate)
    return AppleWallet(
        templates,
        signing.CmsSigner(signer),
        pass_type_identifier=settings.apple_pass_type_identifier or named[0],
        team_identifier=settings.apple_team_identifier or named[1],
        web_service_url=f"{settings.public_url}/apple",
    )


def _open_google(
    settings: Settings, templates: dict[str, PassTemplate], secret_key: bytes
) -> GoogleWallet | None:
    if settings.google_issuer_id is None or settings.google_service_account_path is None:
        return None
    return GoogleWallet(
        templates,
        load_service_account(settings.google_service_account_path),
        issuer_id=settings.google_issuer_id,
        public_url=settings.public_url,
        secret_key=secret_key,
        save_url=settings.google_save_url,
    )


def _open_google_api(settings: Settings, google: GoogleWallet) -> GoogleApi:
    return GoogleApi(
        google.account,
        issuer_id=google.issuer_id,
        api_url=settings.google_api_url,
        batches=settings.google_batches,
    )


def _open_web_push(settings: Settings, secret_key: bytes) -> WebPush:
    is_public = settings.public_url.startswith("https://")
    subject = settings.public_url if is_public else "mailto:trial@example.com"
    return WebPush(Vapid(secret_key, subject=subject), settings.web_push_hosts)
