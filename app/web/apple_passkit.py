"""The PassKit web service: what iPhones call, and the Android wallets that speak the same protocol.

Plain Starlette routes instead of FastAPI's: phones send paths and headers, and after every push all of them
come at once. Contract: Apple, "Adding a Web Service to Update Passes". What differs from common practice:

- An unknown device is answered 204 and an unknown pass 401, as the contract has no 404 for either.
- A pass is answered 200, 304 or 401 and nothing else; HEAD is served too: production phones send it.
- Registering again updates the push token before it is answered 200.
"""

import asyncio
import re
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, cast

import orjson
import structlog
from sqlalchemy import insert
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import rate_limits
from app.db import new_id
from app.passes import content, devices, trace
from app.passes.evidence import Evidence
from app.passes.gathered import PhoneReads
from app.passes.issue import UnknownPass, authentication_token, is_authentic
from app.passes.models import DeviceLog
from app.wallets.apple.wallet import AppleWallet
from app.web.errors import Problem
from app.wiring import Services

log = structlog.get_logger(__name__)

PKPASS = "application/vnd.apple.pkpass"
REGISTRATION_BYTES_MAX = 4096
LOG_BYTES_MAX = 65_536
LOG_LINES_MAX, LOG_LINE_CHARACTERS_MAX = 10, 1024
LOG_CALLS_PER_MINUTE = 60  # per /24 or /64: whoever has one IPv6 address has them by the billion

_SCHEMES = ("applepass", "androidpass")
_DEVICE = re.compile(r"[!-~]{1,128}")
_SERIAL = re.compile(r"[!-~]{1,64}")
_APNS_TOKEN = re.compile(r"(?:[0-9A-Fa-f]{2}){32,100}")
_ANDROID_TOKEN = re.compile(r"[!-~]{1,256}")
# A pass is personal, and what was true a second ago may not be: nobody in between may keep it.
_CACHE_RULE = "private, no-store"


async def register(request: Request) -> Response:
    """POST .../devices/{device}/registrations/{type}/{serial}: 201 if it is new, else 200."""
    services = _services(request)
    serial_number = _authenticated(request, services)
    device = request.path_params["device"]
    if not _DEVICE.fullmatch(device):
        raise Problem(400, "invalid_device", "a device id has 1 to 128 visible ASCII characters")
    push_service = _push_service(request)
    push_token = _push_token(await _body(request, REGISTRATION_BYTES_MAX), push_service)
    async with services.sessions.begin() as session:
        try:
            is_new = await devices.register(
                session,
                serial_number,
                device_library_identifier=device,
                push_service=push_service,
                push_token=push_token,
                now=services.clock(),
            )
        except UnknownPass as error:
            raise _unauthorized() from error
    return Response(status_code=201 if is_new else 200)


async def unregister(request: Request) -> Response:
    """DELETE of the same: 200, also when there was nothing to delete."""
    services = _services(request)
    serial_number = _authenticated(request, services)
    async with services.sessions.begin() as session:
        try:
            await devices.unregister(
                session,
                serial_number,
                device_library_identifier=_printable(request.path_params["device"]),
                now=services.clock(),
            )
        except UnknownPass as error:
            raise _unauthorized() from error
    return Response(status_code=200)


async def list_changed(request: Request) -> Response:
    """GET .../devices/{device}/registrations/{type}?passesUpdatedSince={tag}: the serials, or 204.

    No authorisation, by the contract: the device id is the shared secret.
    """
    services = _services(request)
    apple = _apple(services)
    device = request.path_params["device"]
    if request.path_params["pass_type"] != apple.pass_type_identifier or not _DEVICE.fullmatch(device):
        return Response(status_code=204)
    now = services.clock()
    rows = await _reads(request).held.rows(device)
    changes = devices.changed_since(rows, request.query_params.get("passesUpdatedSince"), now=now)
    _note_asked(_evidence(request), device, changes, now=now)
    if changes.tag is None:
        return Response(status_code=204)
    answer = {"serialNumbers": changes.serial_numbers, "lastUpdated": changes.tag}
    return Response(orjson.dumps(answer), media_type="application/json")


def _note_asked(evidence: Evidence, device: str, changes: devices.Changes, *, now: datetime) -> None:
    if changes.held:
        evidence.note_seen(device, now=now)
    for held in changes.held:
        told = {"device": devices.short(device), "told": "changed" if held.changed else "nothing new"}
        evidence.note(held.program_id, held.pass_id, trace.ASKED, version=held.version, details=told, now=now)


async def get_pass(request: Request) -> Response:
    """GET .../passes/{type}/{serial}: the signed pass, or 304 when the phone has this version.

    A voided pass is served too: that is how it turns grey.
    """
    services = _services(request)
    apple = _apple(services)
    serial_number = _authenticated(request, services)
    found = await _reads(request).versions.rows(serial_number)
    if not found:
        raise _unauthorized()
    current = found[0]
    if _has_it(request, current.version, current.last_modified):
        now = services.clock()
        _evidence(request).note(
            current.program_id, current.id, trace.NOT_MODIFIED, version=current.version, now=now
        )
        return Response(status_code=304, headers=_validators(current.version, current.last_modified))
    return await _signed(request, services, apple, serial_number)


async def _signed(request: Request, services: Services, apple: AppleWallet, serial_number: str) -> Response:
    found = await _reads(request).served.rows(serial_number)
    if not found:
        raise _unauthorized()
    current, now = found[0], services.clock()
    # In a thread: the signature lets go of the interpreter, and whoever moves points meanwhile is answered.
    body = await asyncio.get_running_loop().run_in_executor(
        services.signing_threads,
        partial(
            apple.pass_file,
            current.template,
            content.content_in(current),
            serial_number=serial_number,
            authentication_token=authentication_token(services.secret_key, serial_number),
            now=now,
        ),
    )
    _evidence(request).note(current.program_id, current.id, trace.FETCHED, version=current.version, now=now)
    headers = _validators(current.version, current.last_modified)
    return Response(body, media_type=PKPASS, headers=headers)


async def write_log(request: Request) -> Response:
    """POST .../log: what a phone has to complain about, the only diagnosis from afar. 200."""
    services = _services(request)
    lines = _log_lines(await _body(request, LOG_BYTES_MAX))
    user_agent = _escaped(request.headers.get("user-agent", ""))[:256]
    network = rate_limits.network_of(request.client.host if request.client else "unknown")
    now = services.clock()
    async with services.sessions.begin() as session:
        if not await rate_limits.take(
            session, f"device_log:{network}", limit=LOG_CALLS_PER_MINUTE, period_seconds=60, now=now
        ):
            raise Problem(
                429, "too_many_requests", "too many log lines: wait a minute", headers={"Retry-After": "60"}
            )
        if lines:
            rows = [
                {"id": new_id("log"), "line": line, "user_agent": user_agent, "at": now} for line in lines
            ]
            await session.execute(insert(DeviceLog), rows)
    for line in lines:
        log.warning("device.log", line=line, user_agent=user_agent)
    return Response(status_code=200)


def routes() -> list[Route]:
    """The web service, under /apple: phones append /v1 to the address their pass names.

    Personalisation (sign-up inside Wallet, NFC cards only) is not offered: 404.
    """
    of_device = "/apple/v1/devices/{device}/registrations/{pass_type}"
    return [
        Route("/apple/v1/passes/{pass_type}/{serial}", get_pass, methods=["GET", "HEAD"]),
        Route(of_device, list_changed, methods=["GET", "HEAD"]),
        Route(of_device + "/{serial}", register, methods=["POST"]),
        Route(of_device + "/{serial}", unregister, methods=["DELETE"]),
        Route("/apple/v1/log", write_log, methods=["POST"]),
    ]


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def _evidence(request: Request) -> Evidence:
    return cast(Evidence, request.app.state.evidence)


def _reads(request: Request) -> PhoneReads:
    return cast(PhoneReads, request.app.state.phone_reads)


def _apple(services: Services) -> AppleWallet:
    if services.apple is None:
        raise Problem(
            503, "apple_not_configured", "no Apple certificate is set: PASSBELL_APPLE_CERTIFICATE_PATH"
        )
    return services.apple


def _unauthorized() -> Problem:
    # One answer for an unknown pass and for a wrong token: nobody learns which serial numbers exist.
    return Problem(401, "unauthorized", "the pass's authentication token is missing or wrong")


def _authenticated(request: Request, services: Services) -> str:
    """The serial number of the path, once its token is proven. The database is not asked.

    Raises the one 401 for a wrong token, an unknown pass type and a serial that cannot be one.
    """
    apple = _apple(services)
    serial_number: str = request.path_params["serial"]
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    is_right = is_authentic(services.secret_key, serial_number, token.strip())
    if not is_right or scheme.lower() not in _SCHEMES:
        if _SERIAL.fullmatch(serial_number):
            _evidence(request).note_refused(serial_number, "wrong token", now=services.clock())
        raise _unauthorized()
    if request.path_params["pass_type"] != apple.pass_type_identifier:
        raise _unauthorized()
    return serial_number


def _push_service(request: Request) -> str:
    """Which service reaches this device: Android wallets speak Apple's protocol with small differences."""
    headers = request.headers
    if headers.get("x-pass-client", "").lower() == "passes":
        return "pass2u"
    is_android = headers.get("authorization", "").lower().startswith("androidpass")
    if is_android or headers.get("user-agent", "").startswith("WalletPasses/"):
        return "walletpasses"
    return "apns"


async def _body(request: Request, bytes_max: int) -> dict[str, Any]:
    """The JSON object that was sent. Never reads more than `bytes_max`."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > bytes_max:
            raise Problem(413, "body_too_large", f"the body may have {bytes_max} bytes")
    try:
        sent = orjson.loads(received)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_json", f"the body is not JSON: {error}") from error
    if not isinstance(sent, dict):
        raise Problem(400, "invalid_json", "the body must be a JSON object")
    return cast("dict[str, Any]", sent)


def _push_token(sent: dict[str, Any], push_service: str) -> str:
    push_token = sent.get("pushToken")
    if push_service == "apns":
        pattern, shape = _APNS_TOKEN, "64 to 200 hexadecimal digits"
    else:
        pattern, shape = _ANDROID_TOKEN, "1 to 256 visible ASCII characters"
    if not isinstance(push_token, str) or not pattern.fullmatch(push_token):
        raise Problem(400, "invalid_field", f"pushToken must be {shape}", pointer="/pushToken")
    return push_token


def _log_lines(sent: dict[str, Any]) -> list[str]:
    lines = sent.get("logs")
    if not isinstance(lines, list):
        raise Problem(400, "invalid_field", "logs must be a list of strings", pointer="/logs")
    kept = cast("list[object]", lines)[:LOG_LINES_MAX]
    return [_escaped(str(line)[:LOG_LINE_CHARACTERS_MAX])[:LOG_LINE_CHARACTERS_MAX] for line in kept]


def _escaped(line: str) -> str:
    """A line as one line: control characters, invisible and bidirectional ones spelt out."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in line)


def _printable(device: str) -> str:
    return device if _DEVICE.fullmatch(device) else ""


def _has_it(request: Request, version: int, last_modified: int) -> bool:
    """Whether the phone's copy is the current one (RFC 9110: an entity tag goes before a date)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return _etag(version) in [tag.strip() for tag in tags.split(",")] or tags.strip() == "*"
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    if since == http_date(last_modified):  # what a phone sends nearly always
        return True
    date = _parsed(since)
    return date is not None and last_modified <= date


def _parsed(http_date: str) -> int | None:
    """A Unix second, from any of the three forms of an HTTP date; None for anything else."""
    try:
        date = parsedate_to_datetime(http_date)
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


@lru_cache(maxsize=4096)
def http_date(second: int) -> str:
    """A Unix second as HTTP writes it: "Mon, 03 Jun 2030 12:00:00 GMT"."""
    return formatdate(second, usegmt=True)


def _etag(version: int) -> str:
    # Weak: the same version is signed anew for every phone, and the signature carries the time.
    return f'W/"{version}"'


def _validators(version: int, last_modified: int) -> dict[str, str]:
    return {
        "last-modified": http_date(last_modified),
        "etag": _etag(version),
        "cache-control": _CACHE_RULE,
    }
