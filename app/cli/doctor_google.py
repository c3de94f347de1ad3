"""What `passbell doctor` says of Google Wallet: the key file, the account's permission, the pictures."""

import asyncio

import httpx2

from app.clock import utc_now
from app.db import DATABASE_AWAY, open_read_engine, open_sessions
from app.errors import PermanentFailure, TemporaryFailure
from app.passes import google_callbacks, google_objects
from app.settings import Settings
from app.wallets.apple.certificates import Finding
from app.wallets.google.api import GoogleApi
from app.wallets.google.errors import IssuerRefused
from app.wallets.google.images import HostedImages, pictures_of
from app.wallets.google.service_account import BadServiceAccount, ServiceAccount, load_service_account
from app.wallets.google.wallet import CALLBACK_PATH
from app.wallets.templates import load_templates

_SECONDS = 10.0
MANY_UNANNOUNCED = 3  # one or two may have been lost: callbacks are best effort


def examine_google(settings: Settings) -> list[Finding]:
    """Everything there is to say; nothing when Google Wallet is not set up. Asks Google and ourselves."""
    issuer, path = settings.google_issuer_id, settings.google_service_account_path
    if issuer is None and path is None:
        return []
    if issuer is None or path is None:
        missing = "PASSBELL_GOOGLE_ISSUER_ID" if issuer is None else "PASSBELL_GOOGLE_SERVICE_ACCOUNT_PATH"
        return [Finding("error", "google_incomplete", f"Google Wallet stays off: set {missing} too.")]
    try:
        account = load_service_account(path)
    except BadServiceAccount as error:
        return [Finding("error", "google_key_file", f"Google's key file cannot be used: {error}.")]
    return asyncio.run(_examine(settings, issuer, account))


async def _examine(settings: Settings, issuer: str, account: ServiceAccount) -> list[Finding]:
    api = GoogleApi(account, issuer_id=issuer, api_url=settings.google_api_url, deadline_seconds=_SECONDS)
    try:
        name = await api.check_access()
    except IssuerRefused as refusal:
        return [_refused(issuer, account, refusal)]
    except PermanentFailure as failure:
        return [Finding("error", "google_issuer", f"Google does not know issuer {issuer}: {failure}.")]
    except TemporaryFailure as failure:
        return [Finding("warning", "google_unreachable", f"Google could not be asked: {failure}.")]
    finally:
        await api.close()
    found = Finding("ok", "google_access", f"{account.email} may act for Google Wallet issuer {name}.")
    return [found, *await _pictures(settings), *await _evidence(settings)]


async def _evidence(settings: Settings) -> list[Finding]:
    """What our own books say: passes Google does not take, and saves that no callback told of."""
    engine = open_read_engine(settings.database_url)
    try:
        async with open_sessions(engine)() as session:
            unannounced = await google_callbacks.unannounced(session, now=utc_now())
            refused, reason = await google_objects.refused(session)
    except DATABASE_AWAY as error:
        words = (
            f"The database could not be read ({type(error).__name__}): check PASSBELL_DATABASE_URL, and run "
            "`passbell migrate` first."
        )
        return [Finding("warning", "google_books", words)]
    finally:
        await engine.dispose()
    found: list[Finding] = []
    if refused:
        words = (
            f"Google does not take the newest version of {refused} passes, the last because: {reason}. "
            "Mend the cause, then run `passbell jobs requeue`."
        )
        found.append(Finding("error", "google_refused", words))
    if unannounced >= MANY_UNANNOUNCED:
        words = (
            f"{unannounced} passes are held though no callback ever said so: Google's calls do not reach "
            f"{settings.public_url}{CALLBACK_PATH}. Is it reachable from outside, and does robots.txt let "
            "Googlebot in?"
        )
        found.append(Finding("warning", "google_callbacks_silent", words))
    return found


def _refused(issuer: str, account: ServiceAccount, refusal: IssuerRefused) -> Finding:
    if "no token" in str(refusal):
        words = f"{refusal}. Download a new key for {account.email} in Google Cloud's console."
        return Finding("error", "google_credentials", words)
    words = (
        f"Google refuses {account.email} for issuer {issuer} ({refusal}). Add it as a user in the "
        "Google Pay & Wallet console, and switch on the Google Wallet API in its Google Cloud project."
    )
    return Finding("error", "google_no_permission", words)


async def _pictures(settings: Settings) -> list[Finding]:
    """Google fetches pictures from our public address: one that it cannot have spoils every write."""
    templates = load_templates(settings.pass_templates_dir)
    hosted = HostedImages(settings.public_url, templates)
    addresses = {name: hosted.url(pictures_of(template).logo) for name, template in templates.items()}
    async with httpx2.AsyncClient(timeout=_SECONDS) as client:
        found = [await _picture(client, name, address) for name, address in addresses.items()]
    bad = [each for each in found if each is not None]
    return bad or [Finding("ok", "google_pictures", "The cards' pictures can be fetched where Google does.")]


async def _picture(client: httpx2.AsyncClient, name: str, address: str) -> Finding | None:
    try:
        answer = await client.get(address)
    except httpx2.HTTPError as error:
        why = type(error).__name__
    else:
        if answer.is_success and answer.headers.get("content-type", "").startswith("image/"):
            return None
        why = f"answered {answer.status_code}"
    words = (
        f"The logo of template {name} cannot be fetched at {address} ({why}): Google would refuse its "
        "passes. Is `passbell serve` running, and PASSBELL_PUBLIC_URL its address from outside?"
    )
    return Finding("error", "google_picture_unreachable", words)
