"""Whose turn it is to call Google: one pace for all workers, and three lanes that differ in patience.

Google allows so many requests a second to the whole project. Every request takes a turn first. Who may look
further ahead for one goes before the others when turns are scarce: an enrolment before a purchase, a
purchase before a campaign.
"""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import Enum

from app import rate_limits
from app.errors import TemporaryFailure
from app.wallets.google.errors import TooFast
from app.wiring import Services

KEY = "google"
PATIENCE_SECONDS = 20.0  # then the job gives its seat to another, and comes back
_ASK_AGAIN_SECONDS = (0.05, 1.0)


class Lane(Enum):
    """How many seconds ahead of now a turn may be taken."""

    ENROL = 4.0
    BALANCE = 2.0
    CAMPAIGN = 0.2


async def take_turn(services: Services, lane: Lane) -> None:
    """Wait for a turn. Raises TemporaryFailure when the more urgent lanes take them all for long."""
    rate = services.settings.google_requests_per_second
    waited = 0.0
    while True:
        async with services.sessions.begin() as session:
            turn = await rate_limits.reserve(
                session, KEY, rate=rate, ahead_seconds=lane.value, now=services.clock()
            )
        if turn.is_granted:
            await services.sleep(turn.wait_seconds)
            return
        if waited >= PATIENCE_SECONDS:
            raise TemporaryFailure("no turn at Google", retry_after_seconds=turn.wait_seconds)
        shortest, longest = _ASK_AGAIN_SECONDS
        wait = min(max(turn.wait_seconds, shortest), longest) * random.uniform(1.0, 1.5)  # noqa: S311
        await services.sleep(wait)
        waited += wait


class Turns:
    """The turns of one job: the first is taken before its pass is read, so that what is sent is newest."""

    def __init__(self, services: Services, lane: Lane) -> None:
        self._services = services
        self._lane = lane
        self._has_one = False

    async def take_first(self) -> None:
        """Wait for the turn of the first request."""
        await take_turn(self._services, self._lane)
        self._has_one = True

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """A turn for the one request made inside; all slow down when Google says it was too many."""
        if not self._has_one:
            await take_turn(self._services, self._lane)
        self._has_one = False
        try:
            yield
        except TooFast:
            async with self._services.sessions.begin() as session:
                rate = self._services.settings.google_requests_per_second
                await rate_limits.slow_down(session, KEY, rate=rate, now=self._services.clock())
            raise
