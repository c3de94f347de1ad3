"""A phone that opens a pass page, saves the pass, and shows what Google has: card, messages, notifications.

What a phone and Google say to each other is Google's own affair: this one reads the simulator's account.
"""

import asyncio
import html
import re
from collections.abc import Callable
from datetime import datetime

import httpx2

from app.clock import Clock, utc_now
from app.simulators.google_wallet import Account, Card, GoogleWalletSimulator, Notification
from app.simulators.google_wallet.answers import Body

USER_AGENT = "Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36"

_SAVE_LINK = re.compile(r'href="([^"]*/gp/v/save/[^"]+)"')


class NoSaveLink(Exception):
    """The page has no button "Add to Google Wallet"."""


class AndroidPhone:
    """One phone. Its account may be on others too: they show the same."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        google: GoogleWalletSimulator,
        account: str,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self.locale = "en"
        self.account: Account = google.account(account)
        self._http = http
        self._google = google
        self._clock = clock

    async def open_page(self, address: str) -> list[str]:
        """Open the page of the SMS and tap its button; the ids of what was saved. Raises NoSaveLink."""
        answer = await self._http.get(address, headers={"User-Agent": USER_AGENT}, follow_redirects=True)
        found = _SAVE_LINK.search(answer.text)
        if found is None:
            raise NoSaveLink(f"{answer.status_code}: no button on the page")
        return self.save(html.unescape(found[1]))

    def save(self, save_link: str) -> list[str]:
        """Tap "Add to Google Wallet". Raises google_wallet.answers.Refused."""
        return self._google.save(self.account, save_link)

    def remove(self, object_id: str) -> None:
        """Tap "Remove"."""
        self._google.remove(self.account, object_id)

    @property
    def cards(self) -> list[Card]:
        """The passes in the wallet, the oldest first."""
        return [self._google.card(each) for each in self.account.held]

    @property
    def notifications(self) -> list[Notification]:
        return self.account.notifications

    def messages(self, card: Card) -> list[Body]:
        """What "View message" shows of a card: its own and its class's, those in their time."""
        now = self._clock()
        written = [*card.of_class.get("messages", []), *card.of_object.get("messages", [])]
        return [each for each in written if _is_shown(each, now)]

    async def wait(self) -> None:
        """Wait until something may have changed."""
        self.account.changed.clear()
        await self.account.changed.wait()

    async def wait_for(self, is_so: Callable[[], bool], *, timeout_seconds: float = 30.0) -> None:
        """Wait until a condition, a function of nothing, holds. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while not is_so():
                await self.wait()


def _is_shown(message: Body, now: datetime) -> bool:
    interval = message.get("displayInterval", {})
    starts, ends = (interval.get(key, {}).get("date") for key in ("start", "end"))
    return not (starts and datetime.fromisoformat(starts) > now) and not (
        ends and datetime.fromisoformat(ends) <= now
    )
