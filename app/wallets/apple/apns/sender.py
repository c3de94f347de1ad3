"""Pushes as the rest of the program asks for them: one, awaited, or many, their results called back.

A push is in one place at a time: waiting here, under way on a connection, or resting after a busy answer. One
that a connection gives back is sent again, which does no harm: a push says nothing but "ask".
"""

import asyncio
import json
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from app.errors import TemporaryFailure
from app.wallets.apple.apns.connection import Connection
from app.wallets.apple.apns.pool import ConnectionPool
from app.wallets.apple.apns.pushes import Answer, Push
from app.wallets.apple.apns_credentials import ApnsEndpoint
from app.wallets.apple.pusher import (
    OnResult,
    PushOutcome,
    PushRejected,
    PushResult,
    is_apns_token,
    read_apns_answer,
)

CONNECTIONS_MAX = 4  # of a bulk; single changes share one
BATCH = 256  # pushes in one write: larger ones save nothing more and make the first of them wait
BURST = 32  # a write for fewer is not worth it while so many are under way
UNDER_WAY_MAX = 20_000  # of one bulk, those that rest included: it bounds the memory
TRIES_MAX = 10  # of one push, each on another stream or connection
TOKEN_TRIES_MAX = 3  # of one push that came with a token too old
BUSY_WAIT_SECONDS = (0.1, 2.0)  # for one token of a bulk, after 429, 500 and 503: the first, and the longest
BUSY_TRIES_MAX = 5  # about two seconds; then the owner hears of it


class WirePush:
    """`ApplePush` over HTTP/2 of our own. Connects at the first push."""

    def __init__(
        self, endpoint: ApnsEndpoint, *, deadline_seconds: float, connections_max: int = CONNECTIONS_MAX
    ) -> None:
        self._endpoint = endpoint
        self._pool = ConnectionPool(endpoint, self, deadline_seconds=deadline_seconds)
        self._deadline_seconds = deadline_seconds
        self._connections_max = connections_max
        self._waiting: deque[Push] = deque()
        self._bulks: deque[_Bulk] = deque()
        self._is_filling = False
        self._is_closed = False

    async def notify_changed(self, push_token: str) -> PushResult:
        if not is_apns_token(push_token):  # it comes from a device's request and goes into a path
            return PushResult(PushOutcome.DEVICE_GONE, None, "BadDeviceToken")
        self._begin()
        single = _Single(asyncio.get_running_loop().create_future())
        push = Push(push_token, single)
        self._waiting.append(push)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await single.result
        except TimeoutError as error:
            raise TemporaryFailure(f"APNs: no answer within {self._deadline_seconds:g} s") from error
        finally:
            if single.result.cancelled():
                self._pool.give_up(push)

    async def notify_many(self, push_tokens: Iterable[str], on_result: OnResult) -> None:
        self._begin()
        bulk = _Bulk(iter(push_tokens), on_result, asyncio.get_running_loop().create_future())
        self._bulks.append(bulk)
        try:
            await bulk.done
        finally:
            self._bulks.remove(bulk)

    async def close(self) -> None:
        self._is_closed = True
        self._fail_all(_closed())
        await self._pool.close()

    def _begin(self) -> None:
        if self._is_closed:
            raise _closed()
        self._fill_soon()

    # --- Sending ---

    def _fill_soon(self) -> None:
        if not self._is_filling:
            self._is_filling = True
            asyncio.get_running_loop().call_soon(self._fill)

    def _fill(self) -> None:
        self._is_filling = False
        wanted = 1 if self._waiting else 0
        if any(bulk.has_more for bulk in self._bulks):
            wanted = self._connections_max
        if wanted and not self._is_closed:
            self._pool.keep(wanted)
            for connection in self._pool.usable:
                self.on_room(connection)

    def on_room(self, connection: Connection) -> None:
        while (room := self._pool.room(connection)) > 0:
            if room < BURST < len(connection.in_flight) and not self._waiting:
                return
            pushes = self._next(min(room, BATCH))
            if not pushes:
                return
            self._pool.send(connection, pushes)

    def _next(self, count: int) -> list[Push]:
        """What to send next: single changes and what came back, then the bulks, each first in turn."""
        pushes: list[Push] = []
        while self._waiting and len(pushes) < count:
            push = self._waiting.popleft()
            if push.owner.is_over:
                push.owner.end(push, _given_up())
            else:
                pushes.append(push)
        for bulk in self._bulks:
            pushes += bulk.take(count - len(pushes))
        self._bulks.rotate(-1)
        return pushes

    def on_change(self) -> None:
        self._fill_soon()

    # --- What becomes of them ---

    def on_accepted(self, accepted: Sequence[tuple[Push, str]]) -> None:
        for push, apns_id in accepted:
            push.owner.end(push, PushResult(PushOutcome.ACCEPTED, apns_id))

    def on_answer(self, answer: Answer) -> None:
        push, reason = answer.push, _reason(answer.body)
        try:
            push.owner.end(push, read_apns_answer(answer.status, reason, apns_id=answer.apns_id))
        except PushRejected as rejection:
            if rejection.reason == "ExpiredProviderToken" and self._may_send_with_new_token(push):
                self._send_again(push)
            else:
                push.owner.end(push, rejection)
        except TemporaryFailure as failure:
            push.tries += 1
            if push.owner.is_patient and push.tries < BUSY_TRIES_MAX:
                first, longest = BUSY_WAIT_SECONDS
                wait = min(first * 2.0**push.tries, longest) * random.uniform(0.5, 1.0)  # noqa: S311
                asyncio.get_running_loop().call_later(wait, self._send_again, push)
            else:
                push.owner.end(push, failure)

    def _may_send_with_new_token(self, push: Push) -> bool:
        push.tries += 1
        token = self._endpoint.token
        return token is not None and push.tries < TOKEN_TRIES_MAX and token.renew()

    def on_returned(self, pushes: Sequence[Push], reason: str) -> None:
        for push in pushes:
            push.tries += 1
            if push.tries < TRIES_MAX:
                self._send_again(push)
            else:
                push.owner.end(push, TemporaryFailure(f"APNs: the connection failed ({reason})"))

    def on_unreachable(self, failure: TemporaryFailure | PushRejected, *, is_final: bool) -> None:
        if is_final:
            self._fail_all(failure)
            return
        # A bulk waits for the next try. A single change does not: its job has waits of its own.
        waiting, self._waiting = self._waiting, deque(each for each in self._waiting if each.owner.is_patient)
        for push in waiting:
            if not push.owner.is_patient:
                push.owner.end(push, failure)

    def _send_again(self, push: Push) -> None:
        if self._is_closed or push.owner.is_over:
            push.owner.end(push, _closed())
        else:
            self._waiting.append(push)
            self._fill_soon()

    def _fail_all(self, failure: TemporaryFailure | PushRejected) -> None:
        """End everything that waits; what is under way on a connection may end well yet."""
        waiting, self._waiting = self._waiting, deque()
        for bulk in self._bulks:
            bulk.stop(failure)
        for push in waiting:
            push.owner.end(push, failure)


class _Single:
    """One push that somebody awaits."""

    is_patient = False

    def __init__(self, result: asyncio.Future[PushResult]) -> None:
        self.result = result

    @property
    def is_over(self) -> bool:
        return self.result.done()

    def end(self, push: Push, ended: PushResult | TemporaryFailure | PushRejected) -> None:
        if self.result.done():
            return
        if isinstance(ended, PushResult):
            self.result.set_result(ended)
        else:
            self.result.set_exception(ended)


class _Bulk:
    """Many pushes, read from their source only as fast as they are sent."""

    is_patient = True

    def __init__(self, push_tokens: Iterator[str], on_result: OnResult, done: asyncio.Future[None]) -> None:
        self.done = done
        self.has_more = True
        self._push_tokens = push_tokens
        self._on_result = on_result
        self._under_way = 0
        self._failure: TemporaryFailure | PushRejected | None = None

    @property
    def is_over(self) -> bool:
        return self._failure is not None or self.done.done()

    def take(self, count: int) -> list[Push]:
        """The next pushes, at most so many."""
        pushes: list[Push] = []
        count = min(count, UNDER_WAY_MAX - self._under_way)
        while self.has_more and len(pushes) < count:
            push_token = next(self._push_tokens, None)
            if push_token is None:
                self.has_more = False
            elif is_apns_token(push_token):
                pushes.append(Push(push_token, self))
            else:
                self._on_result(push_token, PushResult(PushOutcome.DEVICE_GONE, None, "BadDeviceToken"))
        self._under_way += len(pushes)
        self._settle()
        return pushes

    def end(self, push: Push, ended: PushResult | TemporaryFailure | PushRejected) -> None:
        self._under_way -= 1
        if isinstance(ended, PushRejected):
            self.stop(ended)
        elif not self.done.done() and (self._failure is None or isinstance(ended, PushResult)):
            self._on_result(push.push_token, ended)
        self._settle()

    def stop(self, failure: TemporaryFailure | PushRejected) -> None:
        """Take no more; those under way are waited for."""
        self.has_more = False
        self._failure = self._failure or failure
        self._settle()

    def _settle(self) -> None:
        if self.has_more or self._under_way or self.done.done():
            return
        if self._failure is not None:
            self.done.set_exception(self._failure)
        else:
            self.done.set_result(None)


def _closed() -> TemporaryFailure:
    return TemporaryFailure("APNs: this sender is closed")


def _given_up() -> TemporaryFailure:
    return TemporaryFailure("APNs: nobody waits for this push")


def _reason(body: bytes) -> str | None:
    """The reason in an answer's body; None for an empty body or one that is not APNs' JSON."""
    try:
        answer: object = json.loads(body)
    except ValueError:
        return None
    reason = cast(dict[str, object], answer).get("reason") if isinstance(answer, dict) else None
    return reason if isinstance(reason, str) else None
