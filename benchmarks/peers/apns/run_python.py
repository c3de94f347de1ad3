"""One Python client against the stand-in: python run_python.py <client> <port> <pem> <pushes> <connections>.

Prints JSON: the seconds and the processor's seconds of the pushes alone, how many were accepted, and memory.
"""

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path

import uvloop

TOPIC = "pass.example.passbell"


def token(number: int) -> str:
    return f"{number:064x}"


class Ours:
    """`notify_many`: what a campaign uses."""

    def __init__(self, port: int, pem: str, connections: int) -> None:
        from app.wallets.apple.apns.sender import WirePush
        from app.wallets.apple.apns_credentials import CertificateCredentials, open_endpoint

        endpoint = open_endpoint(
            CertificateCredentials(Path(pem)), topic=TOPIC, host="127.0.0.1", port=port, ca_file=Path(pem)
        )
        self._push = WirePush(endpoint, deadline_seconds=10, connections_max=connections)

    async def push(self, count: int) -> int:
        accepted = 0

        def on_result(_token: str, result: object) -> None:
            nonlocal accepted
            accepted += getattr(result, "apns_id", None) is not None

        await self._push.notify_many(map(token, range(count)), on_result)
        return accepted

    async def close(self) -> None:
        await self._push.close()


class Aioapns:
    """The library as its README uses it, with as many senders as it has streams."""

    def __init__(self, port: int, pem: str, connections: int) -> None:
        from aioapns import APNs
        from aioapns.connection import APNsProductionClientProtocol

        APNsProductionClientProtocol.APNS_SERVER = "127.0.0.1"
        APNsProductionClientProtocol.APNS_PORT = port
        tls = ssl.create_default_context(cafile=pem)
        tls.load_cert_chain(pem)
        self._client = APNs(
            client_cert=pem, topic=TOPIC, max_connections=connections, ssl_context=tls, use_sandbox=False
        )
        self._client.pool.ssl_context = tls

    async def push(self, count: int) -> int:
        from aioapns import NotificationRequest

        async def one(number: int) -> bool:
            request = NotificationRequest(token(number), {})
            return (await self._client.send_notification(request)).is_successful

        return await _by_senders(one, count, 900)

    async def close(self) -> None:
        self._client.pool.close()


class Httpx2:
    """A general client with HTTP/2, one for each connection."""

    def __init__(self, port: int, pem: str, connections: int) -> None:
        import httpx2

        tls = ssl.create_default_context(cafile=pem)
        tls.load_cert_chain(pem)
        base = f"https://127.0.0.1:{port}"
        self._clients = [
            httpx2.AsyncClient(http1=False, http2=True, verify=tls, base_url=base, timeout=30)
            for _ in range(connections)
        ]

    async def push(self, count: int) -> int:
        async def one(number: int) -> bool:
            client = self._clients[number % len(self._clients)]
            headers = {"apns-topic": TOPIC}
            answer = await client.post(f"/3/device/{token(number)}", headers=headers, content=b"{}")
            return answer.status_code == 200

        return await _by_senders(one, count, 100 * len(self._clients))

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


class Pyreqwest:
    """Rust's reqwest under Python, one client for each connection: a client of it has one to a host."""

    def __init__(self, port: int, pem: str, connections: int) -> None:
        from pyreqwest.client import ClientBuilder

        content = Path(pem).read_bytes()
        self._base = f"https://127.0.0.1:{port}"
        self._clients = [
            ClientBuilder()
            .identity_pem(content)
            .add_root_certificate_pem(content)
            .http2_prior_knowledge()
            .build()
            for _ in range(connections)
        ]

    async def push(self, count: int) -> int:
        async def one(number: int) -> bool:
            request = self._clients[number % len(self._clients)].post(
                f"{self._base}/3/device/{token(number)}"
            )
            answer = await request.header("apns-topic", TOPIC).body_bytes(b"{}").build().send()
            return answer.status == 200

        return await _by_senders(one, count, 900)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


async def _by_senders(one, count: int, senders: int) -> int:
    numbers, accepted = iter(range(count)), 0

    async def sender() -> None:
        nonlocal accepted
        for number in numbers:
            is_accepted = await one(number)
            accepted += is_accepted

    await asyncio.gather(*(sender() for _ in range(senders)))
    return accepted


def _memory_mb() -> int:
    status = Path("/proc/self/status").read_text()
    return (
        int(status.partition("VmHWM:")[2].split()[0]) // 1024
    )  # the kernel's own count includes who started us


CLIENTS = {"ours": Ours, "aioapns": Aioapns, "httpx2": Httpx2, "pyreqwest": Pyreqwest}


async def main(name: str, port: str, pem: str, count: str, connections: str) -> None:
    client = CLIENTS[name](int(port), pem, int(connections))
    await client.push(100)  # connected, and every import done
    started, cpu_started = time.perf_counter(), time.process_time()
    accepted = await client.push(int(count))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    print(
        json.dumps({"seconds": seconds, "cpu": cpu, "accepted": accepted, "rss_mb": _memory_mb()}), flush=True
    )
    await client.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
