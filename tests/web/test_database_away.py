"""PostgreSQL goes away under a running process and comes back: a restart, a failover, a broken cable."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import make_url, select

from app.passes import trace
from app.passes.evidence import Evidence
from app.passes.models import TraceEvent
from tests.job_queue.conftest import until
from tests.make import NOON, make_issued


class Cable:
    """A TCP connection to the database that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._far_port = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, self._far_port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while received := await reader.read(65_536):
            writer.write(received)
    except ConnectionError:
        pass
    writer.close()


@pytest.fixture
def database() -> str:
    return "postgresql"


@pytest.fixture
async def cable(database_url: str) -> AsyncIterator[Cable]:
    address = make_url(database_url)
    cable = Cable(address.host or "127.0.0.1", address.port or 5432)
    await cable.mend()
    yield cable
    cable.cut()


@pytest.fixture
def app_settings(app_settings, cable, database_url):
    url = make_url(database_url).set(host="127.0.0.1", port=cable.port)
    return app_settings.model_copy(update={"database_url": url.render_as_string(hide_password=False)})


async def test_while_the_database_is_away_callers_are_asked_to_come_back(client, cable):
    assert (await client.get("/join/unknown")).status_code == 404

    cable.cut()
    away = [await client.get("/join/unknown"), await client.get("/api/v1/program", headers=KEY)]
    await cable.mend()
    back = await client.get("/join/unknown")

    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in away] == [(503, "1")] * 2
    assert away[1].json()["code"] == "unavailable"
    assert back.status_code == 404


KEY = {"Authorization": "Bearer pb_live_00000000000000000000000000_00000000000000000000000000000000_0f8263dc"}


async def test_the_trace_goes_on_once_the_database_is_back(app, services, cable):
    async with services.sessions.begin() as session:
        issued = await make_issued(session)
    evidence = app.state.evidence
    cable.cut()
    for kind in (trace.ASKED, trace.NOT_MODIFIED):  # on the connection that is gone; on one that is refused
        evidence.note(issued.program_id, issued.id, kind, version=1, now=NOON)
        await until(lambda: was_tried(evidence))
    await cable.mend()

    evidence.note(issued.program_id, issued.id, trace.FETCHED, version=1, now=NOON)

    await until(lambda: is_written(services, issued.id, trace.FETCHED))


async def was_tried(evidence: Evidence) -> bool:
    async with evidence._writing:
        return not evidence._lines


async def is_written(services, pass_id: str, kind: str) -> bool:
    query = select(TraceEvent.id).where(TraceEvent.pass_id == pass_id, TraceEvent.kind == kind)
    async with services.sessions() as session:
        return await session.scalar(query) is not None
