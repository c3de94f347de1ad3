"""Pictures: Google fetches each address once, and refuses a whole write for one it cannot have."""

from typing import Any, cast

import httpx2

from app import tls
from app.simulators.google_wallet.answers import Body, bad_request

_SECONDS = 5.0


class Images:
    """Fetches each picture once, as Google does; one that cannot be had spoils the whole write."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient(verify=tls.outside(), timeout=_SECONDS, trust_env=False)
        self._known: set[str] = set()

    async def check(self, body: Body) -> None:
        """Fetch what the body names. Raises Refused."""
        for url in _image_urls(body):
            if url in self._known:
                continue
            try:
                answer = await self._client.get(url)
            except (httpx2.HTTPError, httpx2.InvalidURL):
                answer = None
            if (
                answer is None
                or not answer.is_success
                or not answer.headers["content-type"].startswith("image/")
            ):
                raise bad_request(f"Image cannot be loaded: {url}", "invalidImage")
            self._known.add(url)

    async def close(self) -> None:
        await self._client.aclose()


def _image_urls(value: Any) -> list[str]:
    """The addresses of all pictures in a body: {"sourceUri": {"uri": ...}}, however deep."""
    if isinstance(value, list):
        return [url for each in cast("list[Any]", value) for url in _image_urls(each)]
    if not isinstance(value, dict):
        return []
    fields = cast("Body", value)
    source = fields.get("sourceUri")
    own = [str(cast("Body", source).get("uri"))] if isinstance(source, dict) else []
    return own + [url for each in fields.values() for url in _image_urls(each)]
