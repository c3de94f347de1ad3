"""Who may call the API, and what with."""

from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI

from app.db import Sessions
from app.members import api_keys
from app.members.models import ApiKey, Program
from app.web.api import keys
from tests.make import NOON


async def ask(anyone: httpx2.AsyncClient, key: str, path: str = "/members") -> httpx2.Response:
    return await anyone.get(path, headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (None, "send your API key"),
        ("Basic dTpw", "send your API key"),
        ("Bearer nonsense", "looks like pb_live_"),
        ("Bearer pb_live_" + "0" * 26 + "_" + "0" * 32 + "_00000000", "mistyped"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
async def test_without_a_good_key_the_answer_is_401(
    anyone: httpx2.AsyncClient, header: str | None, says: str
) -> None:
    answer = await anyone.get("/members", headers={"Authorization": header} if header else {})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert says in answer.json()["detail"]


async def test_a_key_of_another_installation_is_unknown(anyone: httpx2.AsyncClient) -> None:
    stem = "pb_live_" + "0" * 26 + "_" + "0" * 32
    answer = await ask(anyone, f"{stem}_{api_keys._checksum(stem)}")

    assert (answer.status_code, answer.json()["detail"]) == (401, "this API key is not known here")


async def test_a_key_does_what_its_scopes_say_and_no_more(
    anyone: httpx2.AsyncClient, sessions: Sessions, program: Program
) -> None:
    async with sessions.begin() as session:
        _, key = await api_keys.create_key(
            session, program.id, name="crm", scopes=["members:write"], now=NOON
        )

    refused = await ask(anyone, key, "/passes")

    assert (await ask(anyone, key)).status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert "passes:read" in refused.json()["detail"]


async def test_a_revoked_key_is_refused_once_the_process_no_longer_believes_it(
    anyone: httpx2.AsyncClient, sessions: Sessions, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BELIEVED_SECONDS", 0)
    async with sessions.begin() as session:
        row, key = await api_keys.create_key(session, program.id, name="till", scopes=["*"], now=NOON)
    before = await ask(anyone, key)

    async with sessions.begin() as session:
        await api_keys.revoke(session, row.id, now=NOON)
    after = await ask(anyone, key)

    assert (before.status_code, after.status_code) == (200, 401)
    assert "revoked" in after.json()["detail"]


async def test_a_key_past_its_date_is_refused_even_if_believed_a_moment_ago(
    anyone: httpx2.AsyncClient, app: FastAPI, sessions: Sessions, program: Program
) -> None:
    now = NOON
    object.__setattr__(app.state.services, "clock", lambda: now)
    async with sessions.begin() as session:
        _, key = await api_keys.create_key(
            session, program.id, name="till", scopes=["*"], now=NOON, expires_at=NOON + timedelta(hours=1)
        )
    before = await ask(anyone, key)

    now = NOON + timedelta(hours=1)
    after = await ask(anyone, key)

    assert (before.status_code, after.status_code) == (200, 401)


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(sessions: Sessions, program: Program) -> None:
    async with sessions.begin() as session:
        row, key = await api_keys.create_key(session, program.id, name="till", scopes=["*"], now=NOON)

    noted = []
    for seconds in (0, 59, 60):
        async with sessions.begin() as session:
            await api_keys.caller_of(session, key, now=NOON + timedelta(seconds=seconds))
        async with sessions() as session:
            noted.append((await session.get_one(ApiKey, row.id)).last_used_at)

    assert noted == [NOON, NOON, NOON + timedelta(minutes=1)]


async def test_the_secret_of_a_key_is_kept_nowhere(sessions: Sessions, program: Program) -> None:
    async with sessions.begin() as session:
        row, key = await api_keys.create_key(session, program.id, name="till", scopes=["*"], now=NOON)

    secret = key.split("_")[3]
    assert secret not in str({column.name: getattr(row, column.name) for column in ApiKey.__table__.columns})
