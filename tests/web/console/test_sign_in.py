"""Signing in: the password, the second factor, the link, and what ends a session."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.jobs import nightly
from app.staff import passwords, sessions, users
from app.staff.audit import CLI
from app.staff.models import SignInSession, UserLink
from tests.make import NOON
from tests.web.console.conftest import SAME_SITE

PASSWORD = "correct horse battery"
NEW = "a new long password"


@pytest.fixture
async def anna(services):
    """A user with a password."""
    async with services.sessions.begin() as session:
        _user, token = await users.add(
            session, email="Anna@Example.com", name="Anna", role="hotline", language="en", by=CLI, now=NOON
        )
        return await users.set_password(session, token, await passwords.hash_of(PASSWORD), now=NOON)


async def sign_in(client, email="anna@example.com", password=PASSWORD, code="", path="/console/sign-in"):
    client.cookies.clear()
    given = {"email": email, "password": password, "code": code}
    return await client.post(path, data=given, headers=SAME_SITE)


async def test_the_right_password_opens_the_first_page_of_the_role(client, anna):
    answer = await sign_in(client, email=" ANNA@example.com ")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/members")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/console"))
    page = await client.get("/console/members")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


async def test_where_one_wanted_to_go_is_kept_but_never_another_site(client, anna):
    inside = await sign_in(client, path="/console/sign-in?next=/console/account")
    outside = [
        await sign_in(client, path=f"/console/sign-in?next={where}")
        for where in ("https://evil.example", "//evil.example/console", "/consolevil", "javascript:alert(1)")
    ]

    assert inside.headers["location"] == "/console/account"
    assert {each.headers["location"] for each in outside} == {"/console/members"}


async def test_what_is_wrong_is_not_said(client, anna, services):
    wrong = [
        await sign_in(client, password="wrong horse battery"),
        await sign_in(client, email="nobody@example.com"),
        await sign_in(client, email="nobody@example.com", password=""),
    ]
    async with services.sessions.begin() as session:
        await users.add(
            session, email="o@example.com", name="", role="owner", language="en", by=CLI, now=NOON
        )
        await users.set_active(session, anna.id, is_active=False, by=CLI, now=NOON)
    wrong.append(await sign_in(client))

    assert {each.status_code for each in wrong} == {422}
    assert len({re.sub(r'value="[^"]*"', "", each.text) for each in wrong}) == 1


async def test_a_neighbour_in_the_same_network_counts_as_the_same_guesser(client, anna, services, clock):
    for address in ("2001:db8::1", "2001:db8::2"):
        for number in range(5):
            async with services.sessions.begin() as session:
                await sessions.count_try(session, f"{address}-{number}", address, now=clock())

    async with services.sessions.begin() as session:
        with pytest.raises(sessions.TooManyTries):
            await sessions.count_try(session, "another", "2001:db8::3", now=clock())
        for address in ("2001:db8:1::3", "10.0.0.1", "10.0.0.2"):
            await sessions.count_try(session, "another", address, now=clock())


async def test_no_transaction_is_open_while_a_password_is_checked(client, anna, services, monkeypatch):
    held = []
    check = passwords.is_right

    async def watched(*given):
        held.append(services.engine.pool.checkedout() + services.reader.pool.checkedout())
        return await check(*given)

    monkeypatch.setattr(passwords, "is_right", watched)

    assert (await sign_in(client)).status_code == 303
    assert held == [0]


async def test_a_password_that_was_changed_while_it_was_checked_opens_nothing(
    client, anna, services, monkeypatch
):
    check = passwords.is_right

    async def overtaken(*given):
        is_right = await check(*given)
        async with services.sessions.begin() as session:
            (await users.to_change(session, anna.id)).password_hash = await passwords.hash_of(NEW)
        return is_right

    monkeypatch.setattr(passwords, "is_right", overtaken)

    assert (await sign_in(client)).status_code == 422


async def test_guessing_is_stopped_for_a_quarter_of_an_hour(client, anna, clock):
    answers = [(await sign_in(client, password="wrong horse battery")).status_code for _ in range(11)]
    right = (await sign_in(client)).status_code
    clock.tick(16 * 60)
    later = (await sign_in(client)).status_code

    assert answers == [422] * 10 + [429]
    assert (right, later) == (429, 303)


async def test_the_second_factor_is_added_asked_for_and_taken_away(client, anna, clock):
    await sign_in(client)
    page = (await client.get("/console/account")).text
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)[1]
    sealed = re.search(r'name="sealed" value="([0-9a-f]+)"', page)[1]

    def code():
        return passwords.totp_code(secret, int(clock().timestamp()) // 30)

    async def second_factor(path="/console/account/second-factor", **given):
        return await client.post(path, data=given, headers=SAME_SITE)

    async def removed(password):
        return await second_factor("/console/account/second-factor/remove", password=password)

    assert (await second_factor(sealed=sealed, code="000000")).status_code == 422
    assert (await second_factor(sealed="00" * 40, code=code())).status_code == 422
    assert (await second_factor(sealed=sealed, code=code())).status_code == 303

    asked = await sign_in(client)
    used = await sign_in(client, code=code())
    clock.tick(30)
    right = await sign_in(client, code=code()[:3] + " " + code()[3:])
    again = await sign_in(client, code=code())
    assert (asked.status_code, "one-time-code" in asked.text) == (200, True)
    assert (used.status_code, right.status_code, again.status_code) == (422, 303, 422)

    clock.tick(30)
    await sign_in(client, code=code())
    clock.tick(16 * 60)
    assert {(await removed("wrong horse battery")).status_code for _ in range(10)} == {422}
    assert (await removed(PASSWORD)).status_code == 429
    clock.tick(16 * 60)
    assert (await removed(PASSWORD)).status_code == 303
    assert (await sign_in(client)).status_code == 303


async def test_a_session_ends_idle_late_by_hand_and_with_the_user(client, anna, clock, services, signed_in):
    async def is_in():
        return (await client.get("/console/account")).status_code == 200

    await sign_in(client)
    clock.tick(119 * 60)
    assert await is_in()
    clock.tick(119 * 60)  # seen an hour and 59 minutes ago
    assert await is_in()
    clock.tick(121 * 60)
    assert not await is_in()

    await sign_in(client)
    for _ in range(7):
        clock.tick(100 * 60)
        await client.get("/console/account")
    clock.tick(timedelta(hours=1).total_seconds())
    assert not await is_in()

    await sign_in(client)
    await client.post("/console/sign-out", headers=SAME_SITE)
    assert not await is_in()

    await sign_in(client)
    owner, _ = await signed_in("owner")
    shut = await owner.post(f"/console/users/{anna.id}/active", data={"active": "no"})
    assert shut.status_code == 303
    assert not await is_in()


async def test_a_link_sets_a_password_once_and_ends_other_sessions(client, anna, services, clock):
    await sign_in(client)
    cookies = dict(client.cookies)
    async with services.sessions.begin() as session:
        user = await users.to_change(session, anna.id)
        old = await users.make_link(session, user, by=CLI, now=NOON)
        token = await users.make_link(session, user, by=CLI, now=NOON)

    async def use(which, password=NEW):
        return await client.post(f"/console/link/{which}", data={"password": password}, headers=SAME_SITE)

    assert (await client.get(f"/console/link/{old}")).status_code == 404
    assert "anna@example.com" in (await client.get(f"/console/link/{token}")).text
    assert (await use(token, "short")).status_code == 422
    assert (await use(token)).status_code == 303
    assert (await use(token)).status_code == 404
    client.cookies.update(cookies)
    assert (await client.get("/console/account")).status_code == 303
    assert (await sign_in(client, password="a new long password")).status_code == 303

    async with services.sessions.begin() as session:
        late = await users.make_link(session, await users.to_change(session, anna.id), by=CLI, now=NOON)
    clock.tick(49 * 3600)
    assert (await client.get(f"/console/link/{late}")).status_code == 404


async def test_what_is_over_is_forgotten_at_night(client, anna, services, clock):
    await sign_in(client)
    async with services.sessions.begin() as session:
        await users.make_link(session, await users.to_change(session, anna.id), by=CLI, now=NOON)

    counts = []
    for hours in (0, 13, 49):
        clock.now = NOON + timedelta(hours=hours)
        await nightly.prune(services)
        async with services.sessions() as session:
            rows = [
                await session.scalar(select(func.count()).select_from(each))
                for each in (SignInSession, UserLink)
            ]
        counts.append(rows)

    assert counts == [[1, 1], [0, 1], [0, 0]]
