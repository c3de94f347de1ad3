"""Apple's push service through aioapns: one kept connection, every send within its deadline."""

import asyncio
import ssl
from pathlib import Path

from aioapns.common import NotificationRequest
from aioapns.exceptions import ConnectionClosed
from h2.exceptions import H2Error

from app.errors import TemporaryFailure
from app.wallets.apple.apns_connection import ApnsConnection, ApnsEndpoint
from app.wallets.apple.apns_credentials import CertificateCredentials, TokenCredentials, open_endpoint
from app.wallets.apple.pusher import (
    DEADLINE_SECONDS,
    ApplePush,
    PushOutcome,
    PushRejected,
    PushResult,
    is_apns_token,
    read_apns_answer,
)

APNS_HOST = "api.push.apple.com"  # passes have no sandbox
APNS_PORT = 443


def open_apple_push(
    credentials: CertificateCredentials | TokenCredentials,
    *,
    topic: str,
    host: str = APNS_HOST,
    port: int = APNS_PORT,
    ca_file: Path | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> ApplePush:
    """A sender of pushes for one pass type; it connects at the first push.

    `topic` is the pass type identifier. `ca_file` (PEM) replaces the system's authorities, for a
    simulator. Raises PushRejected with the reason "BadCredentials" if they cannot be read.
    """
    endpoint = open_endpoint(credentials, topic=topic, host=host, port=port, ca_file=ca_file)
    return AioapnsPush(endpoint, deadline_seconds=deadline_seconds)


class AioapnsPush:
    """`ApplePush` on aioapns. All sends share one connection; a bad one is replaced at once."""

    def __init__(self, endpoint: ApnsEndpoint, *, deadline_seconds: float) -> None:
        self._endpoint = endpoint
        self._deadline_seconds = deadline_seconds
        self._connecting = asyncio.Lock()
        self._current: ApnsConnection | None = None
        self._open: set[ApnsConnection] = set()
        self._is_closed = False

    async def notify_changed(self, push_token: str) -> PushResult:
        if not is_apns_token(push_token):  # it comes from a device's request and goes into a path
            return PushResult(PushOutcome.DEVICE_GONE, None, "BadDeviceToken")

        request = NotificationRequest(push_token, {})
        connection = None
        try:
            async with asyncio.timeout(self._deadline_seconds):
                connection = await self._connected()
                answer = await connection.send(request)
        except TimeoutError as error:
            if connection is not None:
                connection.retire()
            raise TemporaryFailure(f"APNs: no answer within {self._deadline_seconds:g} s") from error
        except H2Error as error:
            assert connection is not None
            connection.close()
            raise TemporaryFailure(f"APNs: HTTP/2 broke down ({error})") from error
        except (ConnectionClosed, OSError) as error:
            lost_because = connection.lost_because if connection is not None else error.__cause__
            raise _connection_failure(lost_because or error) from error
        return read_apns_answer(int(answer.status), answer.description, apns_id=request.notification_id)

    async def close(self) -> None:
        self._is_closed = True
        async with self._connecting:
            connections = list(self._open)
            for connection in connections:
                connection.close()
            for connection in connections:
                await connection.lost.wait()

    async def _connected(self) -> ApnsConnection:
        if self._current is not None and self._current.is_usable:
            return self._current
        async with self._connecting:
            if self._is_closed:
                raise ConnectionClosed("this sender is closed")
            if self._current is None or not self._current.is_usable:
                self._current = await self._connect()
            return self._current

    async def _connect(self) -> ApnsConnection:
        endpoint = self._endpoint
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: ApnsConnection(endpoint, self._open), endpoint.host, endpoint.port, ssl=endpoint.tls
        )
        try:
            await connection.ready.wait()
        except asyncio.CancelledError:
            connection.close()
            raise
        if not connection.is_usable:
            raise ConnectionClosed("closed before the first request") from connection.lost_because
        return connection


def _connection_failure(error: BaseException) -> TemporaryFailure | PushRejected:
    """A certificate that one side refuses needs a person; any other broken connection is tried again."""
    reason = (isinstance(error, ssl.SSLError) and error.reason) or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return PushRejected(
            f"APNs: the server's certificate is not trusted ({error.verify_message}): "
            "check the CA file, the system's authorities and any intercepting proxy",
            reason=reason,
        )
    if "ALERT" in reason and ("CERTIFICATE" in reason or reason.endswith(("UNKNOWN_CA", "ACCESS_DENIED"))):
        return PushRejected(
            f"APNs refuses the pass type certificate ({reason}): has it expired or been revoked?",
            reason=reason,
        )
    return TemporaryFailure(f"APNs: the connection failed ({error or type(error).__name__})")
