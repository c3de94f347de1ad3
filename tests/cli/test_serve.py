"""`passbell serve`, `health` and `demo`: how they listen, what they answer, and how they end."""

import asyncio
import signal
import socket
import sys

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from typer.testing import CliRunner

from app.cli.root import app
from app.cli.serve import DrainingServer, serving_config
from app.demo.running import PORTS_TRIED, NoFreePort, listen
from app.main import create_app
from app.settings import Settings
from app.simulators.serving import serve


def settings(tmp_path, **values) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/p.db", **values)


@pytest.mark.parametrize(("proxies", "seen"), [([], "127.0.0.1"), (["127.0.0.1"], "203.0.113.9")])
async def test_a_forwarded_address_counts_only_from_a_trusted_proxy(tmp_path, proxies, seen):
    application = Starlette(routes=[Route("/", lambda request: PlainTextResponse(request.client.host))])
    config = serving_config(settings(tmp_path, trusted_proxies=proxies), application)
    config.load()

    transport = httpx2.ASGITransport(config.loaded_app, client=("127.0.0.1", 40000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://passbell.test") as client:
        answer = await client.get("/", headers={"X-Forwarded-For": "203.0.113.9"})

    assert answer.text == seen


@pytest.mark.parametrize(
    ("signals", "leaves_at_once"),
    [([signal.SIGTERM], False), ([signal.SIGTERM, signal.SIGTERM], True), ([signal.SIGINT], True)],
)
async def test_a_server_that_drains_leaves_at_once_when_asked_twice_or_by_ctrl_c(
    tmp_path, signals, leaves_at_once
):
    application = create_app(settings(tmp_path, drain_seconds=60))
    server = DrainingServer(serving_config(settings(tmp_path), application), application, 60)

    for each in signals:
        server.handle_exit(each, None)

    assert application.state.is_leaving == (signal.SIGTERM in signals)
    assert await server.on_tick(0) == leaves_at_once


@pytest.mark.parametrize(
    ("status", "exit_code", "said"), [(200, 0, "ok"), (503, 1, "answers 503"), (None, 1, "does not answer")]
)
async def test_health_says_whether_the_configured_port_answers(monkeypatch, status, exit_code, said):
    async def healthz(_request):
        return PlainTextResponse('{"status": "ok"}', status or 200)

    async with serve(Starlette(routes=[Route("/healthz", healthz)])) as url:
        port = url.rpartition(":")[2]
        if status is None:
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                port = str(closed.getsockname()[1])
        monkeypatch.setenv("PASSBELL_PORT", port)
        result = await asyncio.to_thread(CliRunner().invoke, app, ["health"])

    assert result.exit_code == exit_code
    assert said in result.output


def test_the_demo_moves_on_from_a_taken_port_and_takes_the_next():
    with listen(0) as first:
        first.listen()
        taken = first.getsockname()[1]
        with listen(taken) as second:
            assert taken < second.getsockname()[1] < taken + PORTS_TRIED


def test_the_demo_says_so_when_no_port_is_left(monkeypatch):
    monkeypatch.setattr("app.demo.running.PORTS_TRIED", 1)
    with listen(0) as taken:
        taken.listen()
        with pytest.raises(NoFreePort):
            listen(taken.getsockname()[1])


async def test_the_demo_prints_one_address_serves_it_and_ends_on_ctrl_c(tmp_path):
    command = "from app.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "demo", "--port", "0", "--data", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    url = line.split()[-1]
    async with httpx2.AsyncClient(base_url=url, trust_env=False, follow_redirects=True) as client:
        page = await client.get("/")
        crm = (await client.get("/demo/crm/coffee")).json()
        async with client.stream("GET", "/demo/events") as watching:
            first = await anext(watching.aiter_lines())
            process.send_signal(signal.SIGINT)
            output, errors = await process.communicate()

    assert line == f"Passbell is ready: {url}\n"
    assert (page.status_code, page.url.path) == (200, "/demo")
    assert len(crm["members"]) > 0
    assert first == "event: phone"
    assert (process.returncode, errors.decode()) == (0, "")
    assert b"Ctrl-C" in output
