"""A simulated SMS gateway: the generic HTTP provider's real protocol, and phones that receive the texts.

    POST /messages              {"to", "text", "client_id", "from"?} gets
                                201 {"id", "segments", "cost", "currency"}
    GET  /messages/{client_id}  the same answer with "status", or 404
    GET  /balance               {"balance", "currency"}

All with "Authorization: Bearer <key>". A client_id sent twice is answered alike and delivered once. After
acceptance a receipt {"id", "client_id", "status", "error", "at"} is posted to `receipt_url`, and again a
little later while its receiver does not answer 2xx.

Magic numbers, by their last two digits: 00 is accepted and then fails to be delivered, 01 is refused once
with 503, 02 is accepted but never answered, 03 is refused as a number that does not exist.
"""

import asyncio
import contextlib
import hmac
import json
import re
from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import uuid4

import httpx2
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.channels.sms import segments
from app.simulators.serving import serve

log = structlog.get_logger()

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_BODY_BYTES_MAX = 16_384
_RECEIPT_SECONDS = 5.0


@dataclass(frozen=True)
class PhoneSms:
    """A text as a phone shows it."""

    id: str
    sender: str
    recipient: str
    text: str
    at: datetime


@dataclass
class _Accepted:
    sms: PhoneSms
    client_id: str
    segments: int
    cost: Decimal
    status: str = "sent"


class SmsGateway:
    """The gateway's state, and its ASGI application as `app`."""

    def __init__(
        self,
        *,
        api_key: str,
        receipt_url: str | None = None,
        price: Decimal = Decimal("4.50"),
        currency: str = "RUB",
        balance: Decimal = Decimal("10000.00"),
        receipt_waits: tuple[float, ...] = (0.2, 1.0, 5.0),
    ) -> None:
        """`price` is for one segment; `receipt_waits` are the seconds before each repeat of a receipt."""
        self.receipt_url = receipt_url
        self._api_key = api_key.encode()
        self._price, self._currency, self._balance = price, currency, balance
        self._receipt_waits = receipt_waits
        self._accepted: dict[str, _Accepted] = {}
        self._inboxes: defaultdict[str, list[asyncio.Queue[PhoneSms]]] = defaultdict(list)
        self._everyone: list[asyncio.Queue[PhoneSms]] = []
        self._refused_once: set[str] = set()
        self._reports: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/messages", self._take, methods=["POST"]),
                Route("/messages/{client_id}", self._tell, methods=["GET"]),
                Route("/balance", self._tell_balance, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _problem},
        )

    def received(self, phone: str) -> list[PhoneSms]:
        """All texts delivered to a phone number so far, oldest first."""
        return [a.sms for a in self._accepted.values() if a.sms.recipient == phone and _arrives(phone)]

    @contextlib.asynccontextmanager
    async def inbox(self, phone: str) -> AsyncGenerator[asyncio.Queue[PhoneSms]]:
        """A queue that gets each text delivered to `phone` from now on; any number of phones may listen."""
        queue: asyncio.Queue[PhoneSms] = asyncio.Queue()
        self._inboxes[phone].append(queue)
        try:
            yield queue
        finally:
            self._inboxes[phone].remove(queue)

    @contextlib.asynccontextmanager
    async def every_inbox(self) -> AsyncGenerator[asyncio.Queue[PhoneSms]]:
        """A queue that gets each text delivered to any phone from now on."""
        queue: asyncio.Queue[PhoneSms] = asyncio.Queue()
        self._everyone.append(queue)
        try:
            yield queue
        finally:
            self._everyone.remove(queue)

    async def stop(self) -> None:
        """Answer whoever is kept waiting, and drop the receipts under way."""
        self._stopping.set()
        for report in self._reports:
            report.cancel()
        await asyncio.gather(*self._reports, return_exceptions=True)

    async def _take(self, request: Request) -> JSONResponse:
        self._check_key(request)
        to, text, client_id, sender = await _parse(request)
        if to.endswith("03"):
            raise HTTPException(422, "to: this number does not exist")
        if to.endswith("01") and client_id not in self._refused_once:
            self._refused_once.add(client_id)
            raise HTTPException(503, "busy: try again", {"Retry-After": "1"})

        known = self._accepted.get(client_id)
        if known is None:
            known = self._accept(PhoneSms(uuid4().hex, sender, to, text, datetime.now(UTC)), client_id)
        elif (known.sms.recipient, known.sms.text) != (to, text):
            raise HTTPException(409, "client_id: already used for another message")
        if to.endswith("02"):
            await self._keep_waiting(request)
        return JSONResponse(self._answer(known), 201)

    def _accept(self, sms: PhoneSms, client_id: str) -> _Accepted:
        parts = segments.count(sms.text).parts
        cost = self._price * parts
        if cost > self._balance:
            raise HTTPException(402, "balance: not enough money")
        self._balance -= cost
        accepted = self._accepted[client_id] = _Accepted(sms, client_id, parts, cost)
        if _arrives(sms.recipient):
            for inbox in (*self._inboxes[sms.recipient], *self._everyone):
                inbox.put_nowait(sms)
        report = asyncio.create_task(self._report(accepted))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)
        return accepted

    async def _report(self, accepted: _Accepted) -> None:
        arrives = _arrives(accepted.sms.recipient)
        accepted.status = "delivered" if arrives else "failed"
        if self.receipt_url is None:
            return
        receipt = {
            "id": accepted.sms.id,
            "client_id": accepted.client_id,
            "status": accepted.status,
            "error": None if arrives else "absent_subscriber",
            "at": datetime.now(UTC).isoformat(),
        }
        async with httpx2.AsyncClient(timeout=_RECEIPT_SECONDS, trust_env=False) as client:
            for wait in (0.0, *self._receipt_waits):
                await asyncio.sleep(wait)
                if await _is_taken(client, self.receipt_url, receipt):
                    return
        log.warning("sms_receipt_not_taken", message=accepted.client_id)

    async def _tell(self, request: Request) -> JSONResponse:
        self._check_key(request)
        known = self._accepted.get(request.path_params["client_id"])
        if known is None:
            raise HTTPException(404, "client_id: no such message")
        return JSONResponse(self._answer(known) | {"status": known.status})

    async def _tell_balance(self, request: Request) -> JSONResponse:
        self._check_key(request)
        return JSONResponse({"balance": str(self._balance), "currency": self._currency})

    def _answer(self, accepted: _Accepted) -> dict[str, Any]:
        return {
            "id": accepted.sms.id,
            "segments": accepted.segments,
            "cost": str(accepted.cost),
            "currency": self._currency,
        }

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), self._api_key):
            raise HTTPException(401, "authorization: wrong or missing bearer key")

    async def _keep_waiting(self, request: Request) -> None:
        gone = asyncio.create_task(_disconnected(request))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([gone, stopping], return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        stopping.cancel()


@contextlib.asynccontextmanager
async def running(gateway: SmsGateway, *, port: int = 0) -> AsyncGenerator[str]:
    """The gateway on a real loopback socket; gives its base URL."""
    async with serve(gateway.app, port=port) as base_url:
        try:
            yield base_url
        finally:
            await gateway.stop()


async def _parse(request: Request) -> tuple[str, str, str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES_MAX:
            raise HTTPException(413, f"body: more than {_BODY_BYTES_MAX} bytes")
    try:
        fields: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "body: not JSON") from error
    if not isinstance(fields, dict):
        raise HTTPException(422, "body: not a JSON object")
    fields = cast("dict[str, object]", fields)
    to = _text_field(fields, "to")
    if not _E164.fullmatch(to):
        raise HTTPException(422, "to: not an E.164 number such as +77011234567")
    sender = _text_field(fields, "from") if fields.get("from") is not None else "PASSBELL"
    return to, _text_field(fields, "text"), _text_field(fields, "client_id"), sender


def _text_field(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise HTTPException(422, f"{name}: a non-empty string is required")
    return value


async def _is_taken(client: httpx2.AsyncClient, url: str, receipt: dict[str, Any]) -> bool:
    try:
        return (await client.post(url, json=receipt)).is_success
    except httpx2.TransportError:
        return False  # its receiver is not there yet: the caller repeats


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _arrives(phone: str) -> bool:
    return not phone.endswith("00")


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
