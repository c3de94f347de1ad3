"""Nobody's address leads us into a private network, whatever it looks like and the name server says."""

import asyncio
import ipaddress
import socket

import pytest

from app.channels.webhooks import WebhookCaller, is_public
from app.webhooks.endpoints import BadEndpoint, check

PRIVATE = [
    "0.0.0.0",  # noqa: S104
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001::1",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_leads_inside_is_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.fixture
async def inside():
    """A server in our own network: its port, and how many connections it got."""
    connections = []
    server = await asyncio.start_server(
        lambda _, writer: (connections.append(1), writer.close()), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1], connections


@pytest.fixture
async def caller():
    caller = WebhookCaller(may_be_private=False)
    yield caller
    await caller.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:443/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://0/",
        "https://127.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data",
    ],
)
async def test_a_private_address_is_refused_however_it_is_written(caller, url):
    reply = await caller.post(url, b"{}", {})

    assert reply.status is None
    assert reply.error
    assert "not public" in reply.error


async def test_neither_plain_http_nor_an_odd_port_is_called(caller, inside):
    port, connections = inside
    replies = [
        await caller.post(url, b"{}", {})
        for url in (
            f"http://127.0.0.1:{port}/",
            f"https://127.0.0.1:{port}/",
            "ftp://example.com/",
            "https://",
            "https://[",
            "https://a:99999/",
        )
    ]

    assert [each.status for each in replies] == [None] * 6
    assert connections == []


async def test_a_name_with_one_private_address_among_public_ones_is_refused(caller, monkeypatch):
    async def answers(*_args, **_kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers, raising=False)

    reply = await caller.post("https://rebinding.example/", b"{}", {})

    assert reply.error == "rebinding.example leads to an address that is not public"


async def test_the_connection_goes_to_the_address_that_was_checked(inside, monkeypatch):
    """A name server that answers differently the second time is not asked a second time."""
    port, connections = inside
    asked = []

    async def answers(host, *_args, **_kwargs):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    caller = WebhookCaller(may_be_private=True)
    monkeypatch.setattr(caller, "_resolve", _resolving(answers))
    await caller.post(f"http://rebinding.example:{port}/", b"{}", {})
    await caller.close()

    assert (asked, connections) == (["rebinding.example"], [1])


def _resolving(answers):
    async def resolve(host, port):
        return ipaddress.ip_address((await answers(host, port))[0][4][0])

    return resolve


@pytest.mark.parametrize(
    ("url", "event_types"),
    [
        ("http://example.com/", ["*"]),
        ("https://user:password@example.com/", ["*"]),
        ("https://example.com/#fragment", ["*"]),
        ("https://", ["*"]),
        ("https://[", ["*"]),
        ("https://example.com:99999/", ["*"]),
        ("https://example.com:0/", ["*"]),
        ("https://example.com/", []),
        ("https://example.com/", ["member.exploded"]),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(url, event_types):
    with pytest.raises(BadEndpoint):
        check(url, event_types, may_be_plain=False)
