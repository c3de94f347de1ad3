"""Pushes a second from one process to an APNs simulator in another. Prints one JSON line.

python -m benchmarks.push [--tokens 20000] [--at-once 900] [--latency-ms 20 50] [--key]
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import time
from multiprocessing.connection import Connection

from app.simulators.apns import ApnsSimulator, ProviderKey
from app.wallets.apple.push import (
    ApplePush,
    CertificateCredentials,
    PushOutcome,
    TokenCredentials,
    open_apple_push,
)
from tests.apns import (
    KEY_ID,
    TEAM_ID,
    TOPIC,
    authority,
    ca_file,
    client_certificate,
    provider_key_pem,
    public_pem,
    push_token,
    server_tls,
)


def serve(pipe: Connection, latency_seconds: tuple[float, float], *, with_key: bool) -> None:
    """The other process: gives its port, and at the end which tokens it accepted how often."""

    async def run() -> None:
        key = ProviderKey(public_pem(provider_key_pem("ours")), KEY_ID, TEAM_ID) if with_key else None
        simulator = ApnsSimulator(
            server_tls(asks_for_certificate=not with_key),
            topics={TOPIC},
            provider_key=key,
            latency_seconds=latency_seconds,
        )
        async with simulator.running() as address:
            pipe.send(address.port)
            await asyncio.to_thread(pipe.recv)
            tokens = [push.push_token for push in simulator.accepted]
            pipe.send((len(tokens), len(set(tokens)), simulator.counts.connections))

    asyncio.run(run())


async def push_all(push: ApplePush, tokens: int, at_once: int) -> tuple[float, float]:
    """Seconds, and of them on the processor, for so many tokens and senders, on an open connection."""
    await push.notify_changed(push_token(tokens))
    numbers = iter(range(tokens))

    async def sender() -> None:
        for number in numbers:
            result = await push.notify_changed(push_token(number))
            assert result.outcome is PushOutcome.ACCEPTED

    started, cpu_started = time.perf_counter(), time.process_time()
    await asyncio.gather(*(sender() for _ in range(at_once)))
    took, cpu_took = time.perf_counter() - started, time.process_time() - cpu_started
    await push.close()
    return took, cpu_took


def main() -> None:
    """Run it and print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--at-once", type=int, default=900)
    parser.add_argument("--latency-ms", type=float, nargs=2, default=(20, 50))
    parser.add_argument("--key", action="store_true", help="a .p8 key instead of the certificate")
    options = parser.parse_args()

    # The child is forked after these exist, so both sides know the same authority and key.
    authority("Apple")
    key = provider_key_pem("ours")
    credentials = (
        TokenCredentials(key, KEY_ID, TEAM_ID)
        if options.key
        else CertificateCredentials(client_certificate("Apple"))
    )
    context = multiprocessing.get_context("fork")
    pipe, far_end = context.Pipe()
    latency = (options.latency_ms[0] / 1000, options.latency_ms[1] / 1000)
    server = context.Process(target=serve, args=(far_end, latency), kwargs={"with_key": options.key})
    server.start()
    with ca_file("Apple") as ca:
        push = open_apple_push(credentials, topic=TOPIC, host="127.0.0.1", port=pipe.recv(), ca_file=ca)
    took, cpu_took = asyncio.run(push_all(push, options.tokens, options.at_once))
    pipe.send("done")
    accepted, distinct, connections = pipe.recv()
    server.join()

    print(
        json.dumps(
            {
                "benchmark": "push",
                "credentials": "key" if options.key else "certificate",
                "tokens": options.tokens,
                "pushes_per_second": round(options.tokens / took),
                "cpu_seconds_per_100000": round(cpu_took * 100_000 / options.tokens, 1),
                "lost": options.tokens + 1 - distinct,
                "doubled": accepted - distinct,
                "connections": connections,
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
