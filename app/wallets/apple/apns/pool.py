"""The connections to APNs: as many as are wanted, watched, and replaced when they go."""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

from app.errors import TemporaryFailure
from app.wallets.apple.apns.connection import STREAMS_MAX, Connection
from app.wallets.apple.apns.frames import BrokenProtocol
from app.wallets.apple.apns.pushes import Answer, Push
from app.wallets.apple.apns.requests import PushRequests
from app.wallets.apple.apns_credentials import ApnsEndpoint
from app.wallets.apple.pusher import PushRejected, connection_failure

TRIES_MAX = 6  # connections in a row that bring no answer; with the waits between them about three seconds
WAIT_SECONDS = (0.1, 2.0)  # before the next one: the first wait, and the longest
IDLE_SECONDS = 300.0  # below the 350 s after which common gateways forget a silent connection

# How many pushes are under way on a connection at most. What one that is cut returns may have arrived,
# so after that there are fewer, and then slowly more again.
WINDOW_MIN = 16
WINDOW_SHRINKS_TO = 0.25
WINDOW_GROWS_BY = 1 / 32  # of the answers


class PoolOwner(Protocol):
    """Who has pushes to send, and hears what comes of them."""

    def on_room(self, connection: Connection) -> None:
        """More may be sent on this connection, as far as `ConnectionPool.room` says."""
        ...

    def on_accepted(self, accepted: Sequence[tuple[Push, str]]) -> None:
        """APNs took these, each under its apns-id."""
        ...

    def on_answer(self, answer: Answer) -> None:
        """APNs answered something else, or in more words."""
        ...

    def on_returned(self, pushes: Sequence[Push], reason: str) -> None:
        """Nobody will answer these any more; APNs may or may not have taken them."""
        ...

    def on_unreachable(self, failure: TemporaryFailure | PushRejected, *, is_final: bool) -> None:
        """No connection is open and none could be opened; `is_final` means it was tried often enough."""
        ...

    def on_change(self) -> None:
        """There may be fewer connections than are wanted, or one more."""
        ...


class ConnectionPool:
    """Opens connections when asked to, and closes those that are silent, dead or unused."""

    def __init__(self, endpoint: ApnsEndpoint, owner: PoolOwner, *, deadline_seconds: float) -> None:
        self._endpoint = endpoint
        self._owner = owner
        self._deadline_seconds = deadline_seconds
        # Silent for so long: asked for a sign of life. As long again: dead. Time is left to send again.
        self._silence_seconds = deadline_seconds / 4
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._window = float(STREAMS_MAX)
        self._failures = 0  # connections since the last answer that brought none
        self._resting: asyncio.TimerHandle | None = None  # no new connections before
        self._watching: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> list[Connection]:
        """The open connections that take pushes, the least busy first."""
        open_ones = (each for each in self._connections if not each.is_leaving)
        return sorted(open_ones, key=lambda each: len(each.in_flight))

    def keep(self, count: int) -> None:
        """Open connections until there are so many; not at once, where the last tries failed."""
        if self._resting is None:
            for _ in range(count - len(self.usable) - len(self._opening)):
                task = asyncio.create_task(self._open(), name="apns-connect")
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)

    def room(self, connection: Connection) -> int:
        """How many pushes may be sent on a connection now."""
        return min(connection.room(), int(self._window) - len(connection.in_flight))

    def send(self, connection: Connection, pushes: Sequence[Push]) -> None:
        """Send pushes, with a new token of the provider where the last one is too old."""
        headers = self._endpoint.headers()
        if connection.requests is None or connection.requests.headers != headers:
            connection.requests = PushRequests(
                headers, id_prefix=connection.id_prefix, table_bytes=connection.table_bytes
            )
        connection.send(pushes)

    def give_up(self, push: Push) -> None:
        """Wait no longer for a push. A connection that has answered nobody since it was sent is left."""
        for connection in list(self._connections):
            if connection.give_up(push) and connection.answered_at <= push.sent_at:
                connection.leave()

    async def close(self) -> None:
        """Drop all connections; what is under way on them is returned."""
        for handle in (self._resting, self._watching):
            if handle is not None:
                handle.cancel()
        opening, connections = list(self._opening), list(self._connections)
        for task in opening:
            task.cancel()
        for connection in connections:
            connection.close()
        for connection in connections:
            await connection.lost.wait()
        await asyncio.gather(*opening, return_exceptions=True)

    # --- What connections say ---

    def on_room(self, connection: Connection) -> None:
        self._owner.on_room(connection)

    def on_accepted(self, accepted: Sequence[tuple[Push, str]]) -> None:
        self._failures = 0
        self._window = min(self._window + len(accepted) * WINDOW_GROWS_BY, STREAMS_MAX)
        self._owner.on_accepted(accepted)

    def on_answer(self, answer: Answer) -> None:
        self._failures = 0
        self._owner.on_answer(answer)

    def on_returned(self, pushes: Sequence[Push], reason: str) -> None:
        self._owner.on_returned(pushes, reason)

    def on_leaving(self) -> None:
        self._owner.on_change()

    def on_lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection.was_cut:
            self._window = max(self._window * WINDOW_SHRINKS_TO, WINDOW_MIN)
        if connection.was_cut and not connection.has_answered:
            self._count_failure()
            if self._failures >= TRIES_MAX:
                self._tell(TemporaryFailure("APNs: connections end without an answer"))
        self._owner.on_change()

    # --- Opening ---

    async def _open(self) -> None:
        endpoint, loop = self._endpoint, asyncio.get_running_loop()
        connection = Connection(self, loop)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await loop.create_connection(
                    lambda: connection, endpoint.host, endpoint.port, ssl=endpoint.tls
                )
                await connection.opened
        except (OSError, BrokenProtocol, TimeoutError) as error:
            self._count_failure()
            self._tell(connection_failure(error))
            return
        finally:
            if not connection.opened.done() or connection.opened.cancelled():
                connection.opened.cancel()
                connection.abort()
        if not connection.lost.is_set():
            self._connections.add(connection)
            self._watch()
        self._owner.on_change()

    def _count_failure(self) -> None:
        if self._resting is None:  # else it belongs to the same round of tries
            self._failures += 1
            first, longest = WAIT_SECONDS
            wait = min(first * 2.0 ** (self._failures - 1), longest) * random.uniform(0.5, 1.0)  # noqa: S311
            self._resting = asyncio.get_running_loop().call_later(wait, self._rested)

    def _tell(self, failure: TemporaryFailure | PushRejected) -> None:
        others = [task for task in self._opening if not task.done() and task is not asyncio.current_task()]
        if not self.usable and not others:
            is_final = isinstance(failure, PushRejected) or self._failures >= TRIES_MAX
            self._owner.on_unreachable(failure, is_final=is_final)

    def _rested(self) -> None:
        self._resting = None
        self._owner.on_change()

    # --- Watching ---

    def _watch(self) -> None:
        if self._watching is None and self._connections:
            self._watching = asyncio.get_running_loop().call_later(self._silence_seconds / 2, self._look)

    def _look(self) -> None:
        self._watching = None
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            self._look_at(connection, now)
        self._watch()

    def _look_at(self, connection: Connection, now: float) -> None:
        silence = self._silence_seconds
        if not connection.in_flight:
            if now - connection.received_at > IDLE_SECONDS:
                connection.leave()
        elif connection.pinged_at is not None and now - connection.pinged_at > silence:
            connection.abort()
        elif connection.pinged_at is None and now - connection.received_at > silence:
            connection.ask_for_life()
        else:
            self._end_overdue(connection, now)

    def _end_overdue(self, connection: Connection, now: float) -> None:
        """Take back what was sent too long ago, though the connection lives."""
        overdue = [
            push for push in connection.in_flight.values() if now - push.sent_at > self._deadline_seconds
        ]
        for push in overdue:
            self.give_up(push)
        if overdue:
            self._owner.on_returned(overdue, f"no answer within {self._deadline_seconds:g} s")
