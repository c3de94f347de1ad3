"""A keep-alive HTTP/1.1 connection that costs its process next to nothing: 32 of them keep a server busy."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What the server said. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """One connection, opened when needed, and again after it broke. One request at a time."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._headers = {"Host": address.netloc} | dict(headers or {})
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read its answer.

        Raises ConnectionError when the server is not there, or goes away before it has answered.
        """
        try:
            if self._streams is not None and self._streams[0].at_eof():
                await self.close()  # the server ended it while nobody asked
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(self._request(method, path, body, headers or {}))
            return await _read_answer(reader, has_body=method != "HEAD")
        except (OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise ConnectionError(f"{method} {path}: {error}") from error
        except BaseException:
            await self.close()  # an answer half read would be taken for the next one's
            raise

    async def close(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        given = self._headers | dict(headers)
        if body:
            given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def _read_answer(reader: asyncio.StreamReader, *, has_body: bool) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
    length = int(headers.get("content-length", "0")) if has_body else 0
    return Answer(status, headers, await reader.readexactly(length) if length else b"")
