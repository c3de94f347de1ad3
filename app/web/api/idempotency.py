"""Doing a request once, however often it is sent: the Idempotency-Key header.

The work and the answer it gave are stored in one transaction, so there is no moment at which one exists
without the other. A repeat does its work too, finds at the end that the key is taken, undoes it all and
gives the stored answer: the first request, which is nearly every request, pays for one INSERT only.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import idempotency
from app.members.api_keys import Caller
from app.members.idempotency import Answer
from app.web import errors
from app.web.database_errors import was_given_up
from app.web.dependencies import services_of
from app.web.errors import MEDIA_TYPE, Problem
from app.wiring import Services

ATTEMPTS_MAX = 3  # of a transaction the database gave up to break a deadlock
KEY_LENGTH_MAX = 255

Work = Callable[[AsyncSession], Awaitable[BaseModel]]


class _AlreadyAnswered(Exception):
    """There is an answer under this key already: what was done this time must be undone."""


@dataclass(frozen=True)
class Once:
    """A request that is carried out once. `answer` is the only thing a door calls."""

    request: Request
    services: Services
    key: str

    async def answer(
        self, caller: Caller, wanted: BaseModel | None, work: Work, *, now: datetime, status: int = 201
    ) -> Response:
        """Do the work in its own transaction and answer with what it returns, or the first answer again.

        A refusal (an error of the table in web/errors.py) is an answer like any other; an error of ours
        (5xx) is not kept, so the same key may try again. Raises Problem 409 while the first request
        still runs, 422 when the key belongs to another request.
        """
        asked = request_hash(self.request, wanted)

        async def work_and_store(session: AsyncSession) -> Answer:
            answer = Answer(asked, status, (await work(session)).model_dump_json().encode())
            return await self._store(session, caller, answer, now)

        async with self._alone(caller):
            try:
                return _response(await self._attempt(work_and_store))
            except _AlreadyAnswered:
                return await self._replay(caller, asked)
            except Exception as error:
                refusal = errors.answer(self.request, error)
                if refusal is None or refusal.status_code == 429 or refusal.status_code >= 500:
                    raise
                answer = Answer(asked, refusal.status_code, bytes(refusal.body))
                return await self._refuse(caller, answer, now)

    @asynccontextmanager
    async def _alone(self, caller: Caller) -> AsyncGenerator[None]:
        """Keep a repeat out while the first request runs in this process.

        Two processes meet in the database instead: the second waits there for the first's commit.
        """
        running = running_keys(self.request)
        mine = (caller.program_id, self.key)
        if mine in running:
            detail = "the first request with this Idempotency-Key is still running: ask again in a second"
            raise Problem(409, "idempotency_key_in_use", detail, headers={"Retry-After": "1"})
        running.add(mine)
        try:
            yield
        finally:
            running.discard(mine)

    async def _attempt(self, work: Callable[[AsyncSession], Awaitable[Answer]]) -> Answer:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                async with self.services.sessions.begin() as session:
                    return await work(session)
            except DBAPIError as error:
                if attempt == ATTEMPTS_MAX or not was_given_up(error):
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _refuse(self, caller: Caller, refusal: Answer, now: datetime) -> Response:
        try:
            async with self.services.sessions.begin() as session:
                return _response(await self._store(session, caller, refusal, now))
        except _AlreadyAnswered:
            return await self._replay(caller, refusal.request_hash)

    async def _store(self, session: AsyncSession, caller: Caller, answer: Answer, now: datetime) -> Answer:
        if not await idempotency.store(session, caller.program_id, self.key, answer, now=now):
            raise _AlreadyAnswered
        return answer

    async def _replay(self, caller: Caller, asked: str) -> Response:
        async with self.services.sessions.begin() as session:
            first = await idempotency.stored(session, caller.program_id, self.key)
        assert first is not None
        if first.request_hash != asked:
            detail = "this Idempotency-Key came with another request before: give every request its own"
            raise Problem(422, "idempotency_key_reused", detail, pointer="/header/Idempotency-Key")
        response = _response(first)
        response.headers["Idempotency-Replayed"] = "true"
        return response


def request_hash(request: Request, wanted: BaseModel | None) -> str:
    """What tells a repeat from another request under the same key: hexadecimal SHA-256."""
    content = wanted.model_dump_json() if wanted else ""
    asked = f"{request.method} {request.scope['path']}\n{content}"
    return hashlib.sha256(asked.encode()).hexdigest()


def is_key(idempotency_key: str) -> bool:
    """Whether this can be an Idempotency-Key: 1 to 255 printable ASCII characters."""
    return (
        0 < len(idempotency_key) <= KEY_LENGTH_MAX
        and idempotency_key.isascii()
        and idempotency_key.isprintable()
    )


def running_keys(request: Request) -> set[tuple[str, str]]:
    """The (programme, key) of the requests that run in this process just now."""
    state = request.app.state
    if not hasattr(state, "running_keys"):
        state.running_keys = set[tuple[str, str]]()
    return cast("set[tuple[str, str]]", state.running_keys)


def _response(answer: Answer) -> Response:
    media_type = MEDIA_TYPE if answer.status >= 400 else "application/json"
    return Response(answer.body, answer.status, media_type=media_type)


async def _once(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="A name you give this request, such as a UUID: a repeat under the same name gets the "
            "first answer again instead of happening twice. At most 255 printable characters.",
        ),
    ] = None,
) -> Once:
    if not idempotency_key:
        detail = "send an Idempotency-Key header: a new UUID for every request, the same for its repeats"
        raise Problem(400, "idempotency_key_required", detail, pointer="/header/Idempotency-Key")
    if not is_key(idempotency_key):
        detail = "an Idempotency-Key has at most 255 printable ASCII characters"
        raise Problem(400, "invalid_idempotency_key", detail, pointer="/header/Idempotency-Key")
    return Once(request, services_of(request), idempotency_key)


OnlyOnce = Annotated[Once, Depends(_once)]
