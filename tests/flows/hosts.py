"""Hosts of their own on one machine: network namespaces with addresses, a cable each, and a switch between.

Needs root and iproute2; what is made here is removed at the end.
"""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

RELAY = Path(__file__).with_name("relay.py")
CAN_MAKE_HOSTS = os.geteuid() == 0 and shutil.which("ip") is not None


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def remove(kind: str, name: str) -> None:
    """Also what was only half made."""
    subprocess.run(["ip", kind, "del", name], check=False, capture_output=True)


class Host:
    """One host: a namespace that reaches this machine's services over a cable that can be pulled."""

    def __init__(self, name: str, cable: str) -> None:
        self._cable = cable
        self.inside = ("ip", "netns", "exec", name)

    def pull_cable(self) -> None:
        ip("link", "set", self._cable, "down")

    def plug_cable(self) -> None:
        ip("link", "set", self._cable, "up")


@asynccontextmanager
async def hosts(count: int, ports: Sequence[int]) -> AsyncGenerator[list[Host]]:
    """Hosts on which this machine's `ports` at 127.0.0.1 answer at 127.0.0.1 too, over their cables."""
    stem = f"pb{secrets.token_hex(2)}"
    net = f"10.203.{secrets.randbelow(250)}"
    names = [f"{stem}h{number}" for number in range(count)]
    relays: list[asyncio.subprocess.Process] = []
    ip("link", "add", stem, "type", "bridge")
    try:
        ip("addr", "add", f"{net}.1/24", "dev", stem)
        ip("link", "set", stem, "up")
        made = [_make(name, stem, f"{net}.{number + 2}") for number, name in enumerate(names)]
        relays.append(await _relay((), f"{net}.1", "127.0.0.1", ports))
        for host in made:
            relays.append(await _relay(host.inside, "127.0.0.1", f"{net}.1", ports))
        yield made
    finally:
        for relay in relays:
            relay.kill()
            await relay.wait()
        for name in names:
            remove("netns", name)
        remove("link", stem)


def _make(name: str, switch: str, address: str) -> Host:
    cable = f"{name}c"
    ip("netns", "add", name)
    ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", cable, "master", switch)
    ip("link", "set", cable, "up")
    ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    ip("-n", name, "link", "set", "eth0", "up")
    ip("-n", name, "link", "set", "lo", "up")
    return Host(name, cable)


async def _relay(
    inside: Sequence[str], listen_on: str, to_host: str, ports: Sequence[int]
) -> asyncio.subprocess.Process:
    command = [*inside, sys.executable, str(RELAY), listen_on, to_host, *map(str, ports)]
    return await asyncio.create_subprocess_exec(*command)
