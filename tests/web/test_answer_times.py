"""A web process writes down how long phones waited, where campaigns read it."""

import pytest
from sqlalchemy import select

from app import answer_times
from app.answer_times import AnswerTime
from tests.job_queue.conftest import until


@pytest.fixture
def app_settings(app_settings, monkeypatch):
    monkeypatch.setattr(answer_times, "EVERY_SECONDS", 0.01)
    return app_settings


async def test_what_phones_ask_is_measured_and_written_down(client, services):
    async def written() -> list[AnswerTime]:
        async with services.sessions() as session:
            return list(await session.scalars(select(AnswerTime)))

    assert await written() == []
    assert (
        await client.get("/apple/v1/devices/dev_1/registrations/pass.org.passbell.test")
    ).status_code < 500

    await until(written)
    [row] = await written()
    assert 0 < row.seconds < 60
    async with services.sessions() as session:
        assert await answer_times.slowest(session, now=services.clock()) is not None
