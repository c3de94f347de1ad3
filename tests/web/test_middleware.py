"""The edge: a number and headers on every answer, few time series, and a deadline for slow bodies."""

import asyncio
import socket

import httpx2
import pytest
import structlog
import uvicorn
from fastapi import FastAPI, Request
from prometheus_client import REGISTRY

from app.web.middleware import BodyDeadline, Edge

SQLITE = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def small() -> FastAPI:
    """An application of three endpoints behind the edge."""
    app = FastAPI()

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def parsed(body: dict[str, int]) -> int:
        return len(body)

    @app.get("/broken")
    async def broken() -> None:
        structlog.get_logger("rules").info("inside")
        raise RuntimeError("a bug")

    app.add_middleware(BodyDeadline, seconds=0.05)
    app.add_middleware(Edge, is_https=True)
    return app


@pytest.fixture
def quiet(small) -> httpx2.AsyncClient:
    """A client that is answered what the server would send, whatever the application raised."""
    transport = httpx2.ASGITransport(small, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="https://test")


async def test_every_answer_has_a_number_and_the_headers(quiet):
    answers = [
        await quiet.post("/raw"),
        await quiet.get("/nowhere"),
        await quiet.put("/raw"),
        await quiet.get("/broken"),
    ]

    assert [each.status_code for each in answers] == [200, 404, 405, 500]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert len({each.headers["x-request-id"] for each in answers}) == 4


async def test_an_unforeseen_error_is_a_problem_without_details_and_goes_on_to_the_log(small, quiet):
    answer = await quiet.get("/broken")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "a bug" not in answer.text
    with pytest.raises(RuntimeError, match="a bug"):
        await httpx2.AsyncClient(transport=httpx2.ASGITransport(small), base_url="https://test").get(
            "/broken"
        )


async def test_every_line_of_a_request_has_its_number(quiet):
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answers = [await quiet.get("/broken") for _ in range(2)]

    numbers = [each.headers["x-request-id"] for each in answers]
    assert [(line["event"], line["request_id"]) for line in lines] == [
        ("inside", numbers[0]),
        ("request", numbers[0]),
        ("inside", numbers[1]),
        ("request", numbers[1]),
    ]


async def test_invented_methods_and_addresses_are_one_time_series(quiet):
    for number in range(5):
        await quiet.request(f"METHOD{number}", f"/address{number}")

    methods = {sample.labels["method"] for sample in samples() if sample.labels["route"] == "unmatched"}
    assert "other" in methods
    assert not any(method.startswith("METHOD") for method in methods)
    assert not any("address" in sample.labels["route"] for sample in samples())


def samples():
    return [
        sample
        for metric in REGISTRY.collect()
        if metric.name == "passbell_requests"
        for sample in metric.samples
    ]


@SQLITE
async def test_ids_in_addresses_are_no_time_series(client):
    for number in range(3):
        await client.get(f"/p/{'x' * 20}{number}")

    assert "/p/{token}" in {sample.labels["route"] for sample in samples()}
    assert not any("xxxx" in sample.labels["route"] for sample in samples())


@pytest.fixture
async def address(small):
    """The small application on a real socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(small, log_config=None, http="httptools", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield listening.getsockname()[:2]
        server.should_exit = True
        await serving


async def drip(address, path: str, *chunks: bytes, promised: int) -> tuple[int, bytes]:
    """Send less of a body than its head promises; the answer's status, and all until the server hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n".encode())
    writer.write(f"Content-Length: {promised}\r\n\r\n".encode() + b"".join(chunks))
    await writer.drain()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer


@pytest.mark.parametrize("path", ["/raw", "/json"])
async def test_a_body_that_does_not_arrive_in_time_is_refused_and_the_connection_closed(address, path):
    status, answer = await drip(address, path, b'{"a"', promised=100)

    assert status == 408
    assert b"body_too_slow" in answer
    assert b"x-request-id" in answer.lower()


async def test_a_body_that_is_there_is_not_late_however_slow_the_endpoint(small):
    @small.post("/slow")
    async def slow(request: Request) -> int:
        size = len(await request.body())
        loop = asyncio.get_running_loop()
        waited = loop.create_future()
        loop.call_later(0.1, waited.set_result, None)  # twice the deadline
        await waited
        return size

    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(small), base_url="https://test")

    assert (await client.post("/slow", content=b"abc")).json() == 3


async def test_a_timeout_of_the_endpoints_own_is_no_late_body(small, quiet):
    @small.post("/own")
    async def own(request: Request) -> None:
        raise TimeoutError("of the endpoint")

    assert (await quiet.post("/own", content=b"abc")).status_code == 500


@SQLITE
async def test_people_get_pages_and_programs_get_problems(client):
    pages = [await client.get("/p/unknown"), await client.get("/p/a/b/c"), await client.put("/join/card")]
    problems = [
        await client.get("/api/v1/nowhere"),
        await client.get("/nowhere"),
        await client.post("/healthz"),
    ]

    assert [each.status_code for each in pages + problems] == [404, 404, 405, 404, 404, 405]
    assert {each.headers["content-type"] for each in pages} == {"text/html; charset=utf-8"}
    assert {each.headers["content-type"] for each in problems} == {"application/problem+json"}


@SQLITE
async def test_a_bug_behind_a_page_is_a_page_with_a_number(app, monkeypatch):
    monkeypatch.setattr("app.web.pass_page.by_link", None)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)

    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/p/unknown", headers={"Accept-Language": "ru"})

    assert answer.status_code == 500
    assert "Что-то пошло не так у нас" in answer.text
    assert answer.headers["x-request-id"]
