"""Users of the console, signed in as browsers are."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest

from app.staff import sessions, users
from app.staff.audit import CLI
from app.staff.models import User
from app.web.console.route import COOKIE

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}

SignIn = Callable[..., Awaitable[tuple[httpx2.AsyncClient, User]]]


@pytest.fixture
async def signed_in(app, services, clock):
    """A browser in which a new user of this role is signed in, and the user."""
    opened: list[httpx2.AsyncClient] = []

    async def sign_in(role: str = "owner", email: str = "") -> tuple[httpx2.AsyncClient, User]:
        async with services.sessions.begin() as session:
            user, _ = await users.add(
                session,
                email=email or f"{role}@example.com",
                name=role.title(),
                role=role,
                language="en",
                by=CLI,
                now=clock(),
            )
            token = await sessions.begin(session, user, browser="Test", now=clock())
        transport = httpx2.ASGITransport(app=app)
        browser = httpx2.AsyncClient(
            transport=transport, base_url="http://test", headers=SAME_SITE, cookies={COOKIE: token}
        )
        opened.append(browser)
        return browser, user

    yield sign_in
    for each in opened:
        await each.aclose()
