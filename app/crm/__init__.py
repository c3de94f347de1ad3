"""CRMs, shops and tills that tell us what happened: the words every source shares.

A source's file proves a delivery authentic and turns it into the neutral events of `events.py`. It reads no
database and calls nobody; `known.py` is the table of all.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qs

from app.crm.events import Event, PurchaseChanged


class Unreadable(Exception):
    """The delivery is authentic and makes no sense; `what` names the place that does not."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class BadSourceSettings(Exception):
    """A source cannot work with these settings: says which and what to write instead."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to a source's address, as it came. Header names are in lower case.

    `url` is the whole address the sender called, with its query; `token` is the last, secret part of an
    address such as /hooks/site/{token}, "" where there is none.
    """

    url: str
    token: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime

    def query(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next(iter(parse_qs(self.url.partition("?")[2]).get(name, ())), None)


class Crm(Protocol):
    """How one kind of source is understood. A module is one: these are its functions.

    `secrets` are those valid now: two while an old one is being replaced.
    """

    def has_secret_address(self, settings: Mapping[str, Any]) -> bool:
        """Whether nothing but its secret address proves a delivery: /hooks/{source}/{token}."""
        ...

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raises BadSourceSettings."""
        ...

    def is_authentic(self, delivery: Delivery, secrets: Sequence[str], settings: Mapping[str, Any]) -> bool:
        """Whether the source sent this, in constant time. Never raises, whatever came."""
        ...

    def event_id(self, delivery: Delivery, settings: Mapping[str, Any]) -> str | None:
        """The source's own id of what happened, the same when it sends it again; None where it has none.

        Never raises: asked before the delivery is kept, which must not fail.
        """
        ...

    def parse(self, delivery: Delivery, settings: Mapping[str, Any]) -> Sequence[Event]:
        """What the delivery says happened; nothing for what does not concern us. Raises Unreadable."""
        ...


Ask = Callable[[str], Awaitable[Any]]
"""GETs a path of a source's REST API: its JSON, None for 404. Raises TemporaryFailure, PermanentFailure."""


class AskedCrm(Crm, Protocol):
    """A source that delivers ids only, and answers what they stand for."""

    def api_url(self, settings: Mapping[str, Any]) -> str:
        """The address its REST API begins with."""
        ...

    async def read_deal(self, ask: Ask, deal: str, settings: Mapping[str, Any]) -> PurchaseChanged | None:
        """A deal as it is now; None when it is gone. Raises Unreadable, and as `ask` does."""
        ...
