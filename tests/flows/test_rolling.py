"""Web processes and workers are restarted one after the other under load: no request fails, no phone waits.

PASSBELL_TEST_SOAK=1 (`make soak`) restarts twenty times; every day each process once.
"""

import asyncio
import itertools
import json
import os
import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.clock import utc_now
from app.db import Sessions
from app.passes.issue import authentication_token
from app.simulators.world import World
from tests.flows.crowd import Crowd, make_crowd
from tests.flows.phones import PASS
from tests.flows.server import ROOT, Child, environment_of, free_port
from tests.flows.test_kill_push import is_behind
from tests.flows.wire import Answer, Wire

pytestmark = pytest.mark.slow

RESTARTS = 20 if os.environ.get("PASSBELL_TEST_SOAK") else 3
MEMBERS, CLIENTS = 300, 8
LOOKS_EVERY_SECONDS = 0.05
DRAIN_SECONDS = 3.0  # sixty looks: this process may be kept from looking by a busy machine
TOLD_WITHIN_SECONDS = 60.0


class Balancer:
    """Sends each request to a web process that said it was ready a moment ago. Tries nothing twice."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._ready: set[str] = set()
        self._turn = itertools.count()

    async def look(self) -> None:
        """Ask every process again and again whether it is ready."""
        while True:
            for url in self._urls:
                async with Wire(url) as wire:
                    try:
                        is_ready = (await wire.send("GET", "/readyz")).status == 200
                    except ConnectionError:
                        is_ready = False
                (self._ready.add if is_ready else self._ready.discard)(url)
            await asyncio.sleep(LOOKS_EVERY_SECONDS)

    async def until_ready(self, url: str) -> None:
        while url not in self._ready:  # noqa: ASYNC110 (the condition is another process)
            await asyncio.sleep(0.01)

    def choose(self) -> str:
        ready = sorted(self._ready)
        return ready[next(self._turn) % len(ready)]


class Client:
    """A till and a phone: moves points, fetches the pass. Keeps its connections."""

    def __init__(self, balancer: Balancer, crowd: Crowd, secret_key: bytes, number: int) -> None:
        self._balancer, self._crowd, self._secret_key = balancer, crowd, secret_key
        self._holders = itertools.cycle(crowd.holders[number::CLIENTS])
        self._wires: dict[str, Wire] = {}
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []

    async def run(self, over: asyncio.Event) -> None:
        for holder in self._holders:
            if over.is_set():
                break
            body = json.dumps({"kind": "earn", "points": 1, "reason": "Order"}).encode()
            headers = {
                "Authorization": f"Bearer {self._crowd.api_key}",
                "Idempotency-Key": secrets.token_hex(16),
            }
            await self._send("POST", f"/api/v1/accounts/{holder.account_id}/transactions", body, headers)
            token = authentication_token(self._secret_key, holder.serial_number)
            await self._send("GET", PASS + holder.serial_number, b"", {"Authorization": f"ApplePass {token}"})

    async def close(self) -> None:
        for wire in self._wires.values():
            await wire.close()

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        url = self._balancer.choose()
        wire = self._wires.setdefault(url, Wire(url))
        try:
            answer: Answer = await wire.send(method, path, body, headers)
        except ConnectionError as error:
            self.failures.append(str(error))
            return
        if answer.headers.get("connection") == "close":
            await wire.close()
        self.answers[answer.status] += 1


@pytest.mark.parametrize("database", ["postgresql"])
async def test_no_request_fails_while_every_process_is_restarted(
    settings: dict[str, Any], world: World, tmp_path: Path, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        crowd = await make_crowd(session, MEMBERS, now=utc_now())
    given = {"pass_templates_dir": ROOT / "pass_templates", "log_format": "json", "log_level": "warning"}
    given |= settings | {"drain_seconds": DRAIN_SECONDS}
    webs: dict[str, Child] = {}
    for number in range(2):
        port = free_port()
        mine = {"port": port, "data_dir": tmp_path / f"data{number}", "public_url": "http://127.0.0.1"}
        webs[f"http://127.0.0.1:{port}"] = Child(
            "serve", environment_of(given | mine), tmp_path / f"web{number}.log"
        )
    worker = Child(
        "worker", environment_of(given | {"data_dir": tmp_path / "data2"}), tmp_path / "worker.log"
    )
    balancer = Balancer(list(webs))
    looking = asyncio.create_task(balancer.look())
    over = asyncio.Event()
    secret_key = settings["secret_key"].encode()
    clients = [Client(balancer, crowd, secret_key, number) for number in range(CLIENTS)]
    try:
        for child in (*webs.values(), worker):
            await child.start()
        for url in webs:
            await balancer.until_ready(url)
        async with asyncio.TaskGroup() as load:
            for client in clients:
                load.create_task(client.run(over))
            turns: list[str | None] = [*webs, None]
            for restart in range(RESTARTS):
                url = turns[restart % len(turns)]
                child = worker if url is None else webs[url]
                await child.stop()
                await child.start()
                if url is not None:
                    await balancer.until_ready(url)
            over.set()
        async with asyncio.timeout(TOLD_WITHIN_SECONDS):
            while await is_behind(sessions):  # noqa: ASYNC110 (the condition is in the database)
                await asyncio.sleep(0.05)
    finally:
        looking.cancel()
        await asyncio.gather(*(client.close() for client in clients))
        await asyncio.gather(*(child.stop() for child in (*webs.values(), worker)))

    answers = sum((client.answers for client in clients), Counter[int]())
    assert [failure for client in clients for failure in client.failures] == []
    assert set(answers) == {200, 201}
    assert answers[201] > RESTARTS * 20, "hardly any load: the test proves nothing"
