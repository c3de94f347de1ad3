"""Apple's push service through aioapns: one kept connection, every send within its deadline."""

import asyncio
from collections.abc import Iterable

from aioapns.common import NotificationRequest
from aioapns.exceptions import ConnectionClosed
from h2.exceptions import H2Error

from app.errors import TemporaryFailure
from app.wallets.apple.apns_connection import STREAMS_MAX, ApnsConnection
from app.wallets.apple.apns_credentials import ApnsEndpoint
from app.wallets.apple.pusher import (
    OnResult,
    PushOutcome,
    PushResult,
    connection_failure,
    is_apns_token,
    notify_each,
    read_apns_answer,
)


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
            raise connection_failure(lost_because or error) from error
        return read_apns_answer(int(answer.status), answer.description, apns_id=request.notification_id)

    async def notify_many(self, push_tokens: Iterable[str], on_result: OnResult) -> None:
        await notify_each(self, push_tokens, on_result, at_once=STREAMS_MAX)

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
