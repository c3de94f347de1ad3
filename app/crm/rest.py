"""Asking a CRM's REST API what an id stands for."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from app import tls
from app.crm import Ask
from app.errors import PermanentFailure, TemporaryFailure

DEADLINE_SECONDS = 15.0
_GONE = {204, 404}
_BUSY = {408, 425, 429}


@asynccontextmanager
async def open_api(url: str, token: str) -> AsyncGenerator[Ask]:
    """A way to ask: paths are appended to the URL, the token goes as Bearer."""
    async with httpx2.AsyncClient(
        verify=tls.outside(),
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        timeout=DEADLINE_SECONDS,
    ) as client:

        async def ask(path: str) -> Any:
            try:
                answer = await client.get(f"{url.rstrip('/')}{path}")
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, ValueError) as error:
                raise PermanentFailure("api_url is no address that can be called") from error
            except httpx2.HTTPError as error:
                raise TemporaryFailure(f"the CRM does not answer: {type(error).__name__}") from error
            return _read(answer)

        yield ask


def _read(answer: httpx2.Response) -> Any:
    """The JSON of an answer, None for nothing. HTML is an outage that looks like an answer."""
    if answer.status_code in _GONE:
        return None
    if answer.status_code in _BUSY or answer.status_code >= 500:
        wait = answer.headers.get("retry-after", "")
        seconds = float(wait) if wait.isdecimal() else None
        raise TemporaryFailure(f"the CRM answers {answer.status_code}", retry_after_seconds=seconds)
    if answer.status_code != 200:
        raise PermanentFailure(f"the CRM answers {answer.status_code}: is the API token valid?")
    try:
        return answer.json()
    except ValueError as error:
        raise TemporaryFailure("the CRM answers with something that is not JSON") from error
