"""Pushes a second, and pushes lost: our sender beside others, over the same connections in the same run.

python -m benchmarks.apns [--pushes 100000] [--connections 4] [--latency-ms 20 50] [--tokens 5000]

One JSON line for each client (pushes a second, processor seconds per 100,000, memory), then for each fault
how many of the tokens ours and aioapns lost. h2load, which sends one request again and again in C, is the
limit. A peer that is not installed is named as left out.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import uvloop

from app.simulators.apns import ApnsFaults, ApnsSimulator
from app.wallets.apple.push import CertificateCredentials, PushOutcome, open_apple_push
from benchmarks._program import report
from tests.apns import TOPIC, authority, ca_file, client_certificate, push_token, server_tls

PEERS = Path(__file__).parent / "peers" / "apns"
SLOW = {"aioapns": 10, "httpx2": 20}  # they get so many times fewer pushes, or we would wait for minutes
FAULTS = {
    "none": ApnsFaults(),
    "goaway_every_500": ApnsFaults(goaway_every=500),
    "hard_goaway_every_500": ApnsFaults(goaway_every=500, goaway_is_hard=True),
    "cut_every_500": ApnsFaults(drop_every=500),
    "first_three_connections_silent": ApnsFaults(stalled_connections=3),
    "1_percent_reset": ApnsFaults(reset_share=0.01),
    "1_percent_429_and_503": ApnsFaults(busy_share=0.01, unavailable_share=0.01),
    "goaway_every_2000": ApnsFaults(goaway_every=2000),
    "100_streams": ApnsFaults(streams=100),
    "one_stream_first": ApnsFaults(one_stream_first=True),
    "5_percent_gone": ApnsFaults(),
}
FAULT_SECONDS = 45.0
GONE_EVERY = 20


@contextmanager
def stand_in(pem: Path, latency_ms: tuple[int, int], *options: str) -> Iterator[int]:
    """The fast server in a process of its own; gives its port."""
    command = [sys.executable, "-m", "benchmarks._apns_server", str(pem), *map(str, latency_ms), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.communicate()


def speed(options: argparse.Namespace) -> None:
    """One line for each client, each against a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "localhost.pem"
        issued = authority("Apple").issue_cert("localhost", "127.0.0.1", common_name="localhost")
        pem.write_bytes(issued.private_key_and_cert_chain_pem.bytes() + authority("Apple").cert_pem.bytes())
        commands = _commands(Path(folder))
        for name, command in commands.items():
            pushes = options.pushes // SLOW.get(name, 1)
            echo = ["echo"] if name == "aioapns" else []
            with stand_in(pem, tuple(options.latency_ms), *echo) as port:
                arguments = [str(port), str(pem), str(pushes), str(options.connections)]
                result = _h2load(port, pushes, options) if name == "h2load" else _run(command + arguments)
            report(
                "apns",
                round(result["accepted"] / result["seconds"]),
                "pushes/s",
                implementation=name,
                connections=options.connections,
                cpu_seconds_per_100000=round(result["cpu"] * 100_000 / pushes, 2),
                rss_mb=result["rss_mb"],
                not_accepted=pushes - result["accepted"],
            )
    for name in ("pyreqwest", "node", "go", "h2load"):
        if name not in commands:
            print(f"left out: {name} is not installed", file=sys.stderr)


def _commands(folder: Path) -> dict[str, list[str]]:
    python = [sys.executable, str(PEERS / "run_python.py")]
    commands = {name: [*python, name] for name in ("ours", "aioapns", "httpx2")}
    if find_spec("pyreqwest"):  # a peer that nothing of ours needs: pip install pyreqwest
        commands["pyreqwest"] = [*python, "pyreqwest"]
    if shutil.which("node"):
        commands["node"] = ["node", str(PEERS / "run_node.mjs")]
    if shutil.which("go"):
        program = folder / "run_go"
        cache = {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off"}
        build = ["go", "build", "-o", str(program), str(PEERS / "run_go.go")]
        subprocess.run(build, check=True, env=os.environ | cache)
        commands["go"] = [str(program)]
    if shutil.which("h2load"):
        commands["h2load"] = []
    return commands


def _run(command: list[str]) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(output.strip().splitlines()[-1])


def _h2load(port: int, pushes: int, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile() as payload:
        payload.write(b"{}")
        payload.flush()
        url = f"https://127.0.0.1:{port}/3/device/{push_token(1)}"
        limits = ["-n", str(pushes), "-c", str(options.connections), "-m", "1000", "-t", "1"]
        command = ["h2load", *limits, "-d", payload.name, "-H", f"apns-topic: {TOPIC}", url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finished = re.search(r"finished in ([\d.]+)(ms|s|us),", output)
    accepted = re.search(r"status codes: (\d+) 2xx", output)
    assert finished, output
    assert accepted, output
    seconds = float(finished[1]) * {"s": 1.0, "ms": 1e-3, "us": 1e-6}[finished[2]]
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "seconds": seconds,
        "cpu": cpu,
        "accepted": int(accepted[1]),
        "rss_mb": usage.ru_maxrss // 1024,
    }


@asynccontextmanager
async def simulated(faults: ApnsFaults) -> AsyncGenerator[tuple[ApnsSimulator, int]]:
    """The exact simulator in this process; gives its port too."""
    simulator = ApnsSimulator(server_tls(), topics={TOPIC}, faults=faults, latency_seconds=(0.002, 0.005))
    async with simulator.running() as address:
        yield simulator, address.port


async def ours(port: int, tokens: list[str]) -> None:
    """All tokens by our sender."""
    with ca_file("Apple") as ca:
        push = open_apple_push(
            CertificateCredentials(client_certificate("Apple")),
            topic=TOPIC,
            host="127.0.0.1",
            port=port,
            ca_file=ca,
        )
    outcomes: list[object] = []
    await push.notify_many(tokens, lambda _, result: outcomes.append(getattr(result, "outcome", None)))
    await push.close()
    assert set(outcomes) <= {PushOutcome.ACCEPTED, PushOutcome.DEVICE_GONE}, outcomes


async def library(port: int, tokens: list[str]) -> None:
    """All tokens by aioapns, as its README says, with 900 senders; what it raises is what its user gets."""
    from aioapns import APNs, NotificationRequest
    from aioapns.connection import APNsProductionClientProtocol

    APNsProductionClientProtocol.APNS_SERVER, APNsProductionClientProtocol.APNS_PORT = "127.0.0.1", port
    with ca_file("Apple") as ca, tempfile.NamedTemporaryFile() as pem:
        tls = ssl.create_default_context(cafile=ca)
        pem.write(client_certificate("Apple"))
        pem.flush()
        tls.load_cert_chain(pem.name)
        client = APNs(client_cert=pem.name, topic=TOPIC, max_connections=4, ssl_context=tls)
    waiting = iter(tokens)

    async def sender() -> None:
        for token in waiting:
            with suppress(Exception):  # a lost push is counted at the other end
                await client.send_notification(NotificationRequest(token, {}))

    await asyncio.gather(*(sender() for _ in range(900)))
    client.pool.close()


async def lost(tokens: list[str]) -> None:
    """One line for each fault: how many tokens the simulator never accepted."""
    for name, faults in FAULTS.items():
        for implementation, push in (("ours", ours), ("aioapns", library)):
            async with simulated(faults) as (simulator, port):
                gone = tokens[::GONE_EVERY] if name == "5_percent_gone" else []
                for token in gone:
                    simulator.unregister(token)
                loop = asyncio.get_running_loop()
                started, hung = loop.time(), False
                try:
                    async with asyncio.timeout(FAULT_SECONDS):
                        await push(port, tokens)
                except TimeoutError:
                    hung = True
                accepted = {each.push_token for each in simulator.accepted}
                report(
                    "apns_lost",
                    len(tokens) - len(gone) - len(accepted),
                    f"of {len(tokens) - len(gone)}",
                    implementation=implementation,
                    variant=name,
                    hung=hung,
                    requests=simulator.counts.requests,
                    seconds=round(loop.time() - started, 1),
                )


def main() -> None:
    """Run both halves and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--latency-ms", type=int, nargs=2, default=(20, 50))
    parser.add_argument("--tokens", type=int, default=5000, help="for each fault")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # aioapns has a line for each push that fails
    speed(options)
    if options.tokens:
        uvloop.run(lost([push_token(number) for number in range(options.tokens)]))


if __name__ == "__main__":
    main()
