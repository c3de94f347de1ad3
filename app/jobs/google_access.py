"""Whether Google may be called at all: an issuer is set, and Google has not refused our account just now."""

import structlog

from app.errors import TemporaryFailure
from app.wallets.google.api import GoogleApi
from app.wallets.google.errors import IssuerRefused
from app.wiring import Services

log = structlog.get_logger(__name__)

SERVICE = "google"  # in push_stop and the metrics


def connected(services: Services) -> GoogleApi:
    """The API. Raises TemporaryFailure where there is none, or calls are stopped."""
    if services.google_api is None:
        raise TemporaryFailure("no Google issuer is set: see `passbell doctor`")
    stopped = services.push_stop.seconds_left(SERVICE, services.clock())
    if stopped:
        raise TemporaryFailure("Google refuses our account", retry_after_seconds=stopped)
    return services.google_api


def stop(services: Services, refusal: IssuerRefused) -> TemporaryFailure:
    """Stop every call for a while, for each would be refused too; the failure to raise instead.

    What is owed stays owed, and one request after the pause finds out whether somebody has mended it.
    """
    pause = services.push_stop.stop(SERVICE, str(refusal), services.clock())
    log.error("google.stopped", reason=str(refusal), seconds=pause)
    return TemporaryFailure(str(refusal), retry_after_seconds=pause)
