"""Google Wallet's REST API: insert, read, change, message. What Google refuses becomes a value or a failure.

Every call raises TemporaryFailure when trying again later may work (TooFast: we must slow down too), and
PermanentFailure when it cannot: IssuerRefused for our credentials, NotAccepted for what was sent.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from app.wallets.google import schema
from app.wallets.google.errors import Answer, NotAccepted, failure
from app.wallets.google.service_account import ServiceAccount
from app.wallets.google.tokens import AccessTokens
from app.wallets.google.wire import API_URL, DEADLINE_SECONDS, Request, Wire

Body = Mapping[str, Any]

NOTIFY = {"notifyPreference": "NOTIFY_ON_UPDATE"}  # counts for the one request it stands in
_OF_OUTPUT = ("classReference", "hasUsers", "kind", "version")


class Inserted(Enum):
    """What became of an insert."""

    NEW = auto()
    KNOWN = auto()  # it is there: ours from a try before, or an older one
    NO_CLASS = auto()  # an object needs its class first


class Messaged(Enum):
    """What became of a message."""

    ADDED = auto()
    OVER_QUOTA = auto()  # it would ring once too often today: send it as silent text
    MISSING = auto()  # there is no such object or class


class GoogleApi:
    """The API of one issuer. `resource` is such as "loyaltyObject" everywhere."""

    def __init__(
        self,
        account: ServiceAccount,
        *,
        issuer_id: str,
        api_url: str = API_URL,
        batches: bool = False,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._issuer_id = issuer_id
        self._wire = Wire(
            AccessTokens(account), api_url=api_url, batches=batches, deadline_seconds=deadline_seconds
        )

    async def check_access(self) -> str:
        """The issuer's name, if our account may act for it. For `passbell doctor`."""
        answer = await self._wire.send(Request("GET", f"issuer/{self._issuer_id}"))
        return str(_expected(answer).body.get("name", ""))

    async def insert(self, resource: str, body: Body) -> Inserted:
        """Make a class or an object; its id is taken for ever."""
        _check(resource, body)
        answer = await self._wire.send(Request("POST", resource, body))
        if answer.status == 409:
            return Inserted.KNOWN
        if answer.status == 404 and resource.endswith("Object"):
            return Inserted.NO_CLASS
        _expected(answer)
        return Inserted.NEW

    async def get(self, resource: str, resource_id: str, *, fields: str | None = None) -> Body | None:
        """A class or an object as Google has it, or None. `fields` leaves the others out: "id,messages"."""
        query = {"fields": fields} if fields else None
        return _found(await self._wire.send(Request("GET", f"{resource}/{resource_id}", query=query)))

    async def patch(self, resource: str, resource_id: str, changes: Body) -> Body | None:
        """Change the fields given; the resource as it is then, or None when there is no such thing.

        Lists are replaced whole, null removes a field, an empty list is believed to change nothing.
        """
        _check(resource, changes)
        return _found(await self._wire.send(Request("PATCH", f"{resource}/{resource_id}", changes)))

    async def replace(self, resource: str, resource_id: str, body: Body) -> Body | None:
        """Make it this and nothing else: the only way to shorten a list to nothing. None: no such thing."""
        _check(resource, body)
        own = {key: value for key, value in body.items() if key not in _OF_OUTPUT}
        return _found(await self._wire.send(Request("PUT", f"{resource}/{resource_id}", own)))

    async def add_message(self, resource: str, resource_id: str, message: Body) -> Messaged:
        """Add a message. Not idempotent: after a failure look for its id before sending it again."""
        path = f"{resource}/{resource_id}/addMessage"
        answer = await self._wire.send(Request("POST", path, {"message": message}))
        if answer.is_over_quota:
            return Messaged.OVER_QUOTA
        return Messaged.MISSING if _found(answer) is None else Messaged.ADDED

    async def fetch_json(self, url: str) -> tuple[dict[str, Any], str]:
        """A public document of Google's, and its Cache-Control. Asked for without our credentials."""
        return await self._wire.fetch(url)

    async def close(self) -> None:
        await self._wire.close()


def _check(resource: str, body: Body) -> None:
    """Raises NotAccepted for a field Google does not know: it would drop it and answer 200."""
    field = schema.unknown_field(resource, body)
    if field is not None:
        raise NotAccepted(f"{resource} has no field {field}: see `passbell template check`")


def _found(answer: Answer) -> Body | None:
    return None if answer.status == 404 else _expected(answer).body


def _expected(answer: Answer) -> Answer:
    if not answer.is_success:
        raise failure(answer)
    return answer
