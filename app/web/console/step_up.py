"""The password once more, for what an open browser alone may not do: a key, the second factor."""

from datetime import datetime

from fastapi import Request

from app.staff import sessions
from app.staff.models import User
from app.web.console.route import who_is
from app.wiring import Services

PASSWORD_MAX = 300  # characters that are looked at: checking costs the more the longer it is


async def prove(request: Request, services: Services, password: str, *, now: datetime) -> User:
    """Who is signed in, once their password was right. To be locked by `sessions.unchanged` before it counts.

    Raises TooManyTries, NotSignedIn.
    """
    who, address = who_is(request), request.client.host if request.client else ""
    async with services.sessions.begin() as session:
        await sessions.count_try(session, who.email, address, now=now)
    return await sessions.with_password(services.read_sessions, who.email, password[:PASSWORD_MAX])
