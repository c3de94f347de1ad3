"""Keys of the API from the console: shown once, for a password, of one's own programme, and on record."""

import re

import pytest
from sqlalchemy import select

from app.members import api_keys
from app.members.models import ApiKey
from app.staff import passwords, users
from app.staff.models import AuditEntry
from app.web.api import keys
from tests.make import NOON, make_program

PASSWORD = "correct horse battery"


@pytest.fixture
async def owner(signed_in, services):
    """A browser of an owner with a password, in a programme."""
    browser, user = await signed_in("owner")
    hashed = await passwords.hash_of(PASSWORD)
    async with services.sessions.begin() as session:
        await make_program(session)
        (await users.to_change(session, user.id)).password_hash = hashed
    return browser


async def make(owner, **given):
    form = {"name": "Till 1", "purpose": "till", "days": "30", "password": PASSWORD} | given
    return await owner.post("/console/keys", data=form)


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(owner, client, services, monkeypatch):
    monkeypatch.setattr(keys, "BELIEVED_SECONDS", 0)
    made = (await make(owner)).text
    [key] = re.findall(r"<code>(pb_live_\w+)</code>", made)
    later = (await owner.get("/console/keys")).text
    headers = {"Authorization": f"Bearer {key}"}
    before = await client.get("/api/v1/members", headers=headers)
    beyond = await client.get("/api/v1/campaigns", headers=headers)
    [key_id] = re.findall(r"/console/keys/(key_\w+)/revoke", later)
    for _ in range(2):
        assert (await owner.post(f"/console/keys/{key_id}/revoke")).status_code == 303
    after = await client.get("/api/v1/members", headers=headers)

    assert "pb_live" not in later
    assert [each.status_code for each in (before, beyond, after)] == [200, 403, 401]
    async with services.sessions() as session:
        log = await session.execute(
            select(AuditEntry.action, AuditEntry.subject).where(AuditEntry.action.startswith("key."))
        )
    assert log.all() == [("key.created", key_id), ("key.revoked", key_id)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"password": "wrong horse battery"}, "The password is not right"),
        ({"name": "  "}, "what the key is for"),
        ({"name": "x" * 65}, "what the key is for"),
        ({"purpose": "root"}, "choose from the lists"),
        ({"days": "0"}, "choose from the lists"),
    ],
)
async def test_what_is_wrong_makes_no_key(owner, services, given, words):
    answer = await make(owner, **given)

    assert (answer.status_code, words in answer.text) == (422, True)
    async with services.sessions() as session:
        assert (await session.scalars(select(ApiKey))).all() == []


async def test_whoever_guesses_the_password_is_stopped(owner):
    tries = [(await make(owner, password=f"wrong {number}")).status_code for number in range(11)]

    assert tries == [422] * 10 + [429]
    assert (await make(owner)).status_code == 429


async def test_a_key_of_another_programme_is_not_there(owner, services):
    async with services.sessions.begin() as session:
        other = await make_program(session, slug="other")
        row, _ = await api_keys.create_key(session, other.id, name="theirs", scopes=["*"], now=NOON)

    assert "theirs" not in (await owner.get("/console/keys")).text
    assert (await owner.post(f"/console/keys/{row.id}/revoke")).status_code == 404
