"""What an endpoint may ask for. The only Depends() in the program are made here.

All of them are coroutines: FastAPI runs a plain function in a thread, at several times a request's price.
And none depends on another: each level of dependencies costs as much as a statement.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.i18n import LANGUAGES, choose_language
from app.wiring import Services


def services_of(request: Request) -> Services:
    """The services of the application that got this request."""
    return cast(Services, request.app.state.services)


async def _services(request: Request) -> Services:
    return services_of(request)


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with services_of(request).sessions.begin() as session:
        yield session


async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    async with services_of(request).read_sessions() as session:
        yield session


async def _now(request: Request) -> datetime:
    return services_of(request).clock()


async def _language(request: Request) -> str:
    return choose_language(
        request.query_params.get("lang") or request.cookies.get("lang"),
        request.headers.get("accept-language"),
        LANGUAGES,
    )


FromServices = Annotated[Services, Depends(_services)]
Now = Annotated[datetime, Depends(_now)]
Language = Annotated[str, Depends(_language)]  # of the interface: ?lang=, the cookie, or the browser's

# scope="function": commit before the response is sent. By default FastAPI runs what follows a
# dependency's `yield` after it, so a caller would be told 200 of a change that failed to commit.
Transaction = Annotated[AsyncSession, Depends(_transaction, scope="function")]

# For a door that only reads: no transaction, and it waits for no writer.
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]
