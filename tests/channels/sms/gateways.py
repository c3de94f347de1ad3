"""Gateways on real loopback sockets: one that answers as it is told, and three that do not answer."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from app.channels.sms import Sms
from app.channels.sms.generic_http import Account, Gateway, GenericHttp
from app.channels.sms.mobizon import Mobizon
from app.channels.sms.smsaero import SmsAero
from app.channels.sms.smsc import Smsc
from app.channels.sms.twilio import Twilio
from app.simulators.serving import serve

PHONE = "+77011234567"
SECRET = "s3cr3t-k3y"
SMS = Sms(PHONE, "Ваша карта: https://p.example/7xK2", "msg_1")


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def form(self) -> dict:
        return dict(parse_qsl(self.body.decode()))

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class Script:
    """What the gateway answers, and what it was sent."""

    status: int = 200
    answer: object = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)


@asynccontextmanager
async def answering(answer, status=200, headers=None):
    """A gateway with one answer: an object is sent as JSON, bytes as they are."""
    script = Script(status, answer, headers or {})

    async def take(request):
        script.seen.append(
            Seen(
                request.method,
                request.url.path,
                dict(request.query_params),
                dict(request.headers),
                await request.body(),
            )
        )
        content = script.answer if isinstance(script.answer, bytes) else json.dumps(script.answer)
        return Response(content, script.status, script.headers)

    methods = ["GET", "POST", "PUT"]
    async with serve(Starlette(routes=[Route("/{path:path}", take, methods=methods)])) as url:
        yield url, script


@asynccontextmanager
async def hanging_up():
    """A gateway that reads each request and closes the connection without a word."""

    async def hang_up(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        await reader.readexactly(length)
        writer.close()

    async with _listening(hang_up) as url:
        yield url


@asynccontextmanager
async def silent():
    """A gateway that takes the connection and never says anything."""
    over = asyncio.Event()

    async def say_nothing(reader, writer):
        await over.wait()
        writer.close()

    async with _listening(say_nothing) as url:
        try:
            yield url
        finally:
            over.set()


@asynccontextmanager
async def absent():
    """An address nobody listens on."""
    async with _listening(lambda reader, writer: None) as url:
        gone = url
    yield gone


@asynccontextmanager
async def _listening(handle):
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def smsc(url, **changes):
    return Smsc(
        **(
            {
                "login": "shop",
                "secret": SECRET,
                "sender": "DALA",
                "currency": "RUB",
                "api_url": url,
                "deadline_seconds": 5.0,
            }
            | changes
        )
    )


def smsaero(url, **changes):
    return SmsAero(
        **(
            {
                "login": "shop@example.com",
                "api_key": SECRET,
                "sender": None,
                "currency": "RUB",
                "api_url": url,
                "deadline_seconds": 5.0,
            }
            | changes
        )
    )


def mobizon(url, **changes):
    return Mobizon(
        **(
            {
                "api_key": SECRET,
                "sender": None,
                "currency": "KZT",
                "api_url": url,
                "deadline_seconds": 5.0,
            }
            | changes
        )
    )


def twilio(url, **changes):
    return Twilio(
        **(
            {
                "account_sid": "AC1",
                "auth_token": SECRET,
                "sender": "+15005550006",
                "api_url": url,
                "deadline_seconds": 5.0,
            }
            | changes
        )
    )


def generic(url, gateway=None, **changes):
    gateway = gateway or Gateway(
        url=f"{url}/messages", find_url=f"{url}/messages/{{client_id}}", balance_url=f"{url}/balance"
    )
    account = Account(api_key=SECRET, login="shop", password="pw-secret")
    return GenericHttp(
        gateway, account, **({"sender": None, "currency": "KZT", "deadline_seconds": 5.0} | changes)
    )


PROVIDERS = {
    "generic": generic,
    "smsc": smsc,
    "smsaero": smsaero,
    "mobizon": mobizon,
    "twilio": twilio,
}
