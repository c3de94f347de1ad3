"""Calling other people's addresses without letting them lead us into our own network.

A name is resolved once; every address it has must be public, and the connection goes to one of exactly those,
so that a second answer of the name server changes nothing. Redirects are failures, replies are not read on.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import httpx2

from app import tls

DEADLINE_SECONDS = 15.0
REPLY_BYTES_MAX = 65_536
RETRY_AFTER_DIGITS_MAX = 8
PORTS = frozenset({443, 8443})

# Public by `is_global`, and yet ways into a private network: NAT64, 6to4, Teredo, and the old 6to4 relays.
_DENIED = tuple(
    ipaddress.ip_network(each)
    for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.88.99.0/24")
)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The address may not be called; says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered; `status` is None where it did not."""

    status: int | None
    error: str | None = None
    retry_after_seconds: float | None = None


class WebhookCaller:
    """Calls endpoints. `may_be_private` allows http, any port and any address: for tests and trials."""

    def __init__(self, *, may_be_private: bool, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.may_be_private = may_be_private
        self._deadline_seconds = deadline_seconds
        self._client = httpx2.AsyncClient(
            verify=tls.outside(),
            timeout=httpx2.Timeout(deadline_seconds, connect=5.0),
            # No connection is used twice: by address they would be shared among names, and so would TLS.
            limits=httpx2.Limits(max_connections=100, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Deliver a body. Never raises: whatever goes wrong is the endpoint's."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await self._post(url, body, headers)
        except TimeoutError:
            return Reply(None, f"no answer within {self._deadline_seconds:g} seconds")
        except Refused as error:
            return Reply(None, str(error))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:  # ValueError: no URL
            return Reply(None, f"{type(error).__name__}: {error}"[:200])

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if not self.may_be_private and (parts.scheme != "https" or port not in PORTS):
            raise Refused("only https on port 443 or 8443 is called")
        address = await self._resolve(host, port)
        literal = f"[{address}]" if address.version == 6 else str(address)
        pinned = urlunsplit((parts.scheme, f"{literal}:{port}", parts.path or "/", parts.query, ""))
        given = {"Host": parts.netloc, "Content-Type": "application/json", "User-Agent": "Passbell"}
        request = self._client.build_request(
            "POST", pinned, content=body, headers=given | dict(headers), extensions={"sni_hostname": host}
        )
        response = await self._client.send(request, stream=True)
        try:
            await _discard(response)
        finally:
            await response.aclose()
        return _reply(response)

    async def _resolve(self, host: str, port: int) -> IpAddress:
        """One of a name's addresses, all of which are fit to be called. Raises Refused."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        if not self.may_be_private and not all(is_public(each) for each in addresses):
            raise Refused(f"{host} leads to an address that is not public")
        return addresses[0]

    async def close(self) -> None:
        await self._client.aclose()


def is_public(address: IpAddress) -> bool:
    """Whether an address belongs to the open internet, and to nothing that leads back from it."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address.version == each.version and address in each for each in _DENIED)


async def _discard(response: httpx2.Response) -> None:
    """Read what was answered, as far as anybody may send us."""
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        if received > REPLY_BYTES_MAX:
            return


def _reply(response: httpx2.Response) -> Reply:
    if response.is_success:
        return Reply(response.status_code)
    asked = response.headers.get("retry-after", "")
    is_number = asked.isascii() and asked.isdecimal() and len(asked) <= RETRY_AFTER_DIGITS_MAX
    error = "redirects are not followed" if response.is_redirect else f"answered {response.status_code}"
    return Reply(response.status_code, error, float(asked) if is_number else None)
