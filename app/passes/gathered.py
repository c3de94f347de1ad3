"""The three reads every phone causes after a push, made once for all phones that ask in the same moment.

After a push thousands of phones ask at once. A query of its own for each costs ten times what SQLite or
PostgreSQL needs to find the row. So the keys of one turn of the event loop go into one query, which begins
after the last of them asked: every phone still sees the newest commit.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Executable, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import UtcDateTime
from app.passes import content

_KEYS = {
    "sqlite": "(SELECT value FROM json_each(:keys))",
    "postgresql": "(SELECT unnest(CAST(:keys AS text[])))",
}

_VERSIONS = (
    "SELECT serial_number AS key, id, program_id, version, last_modified FROM passes WHERE serial_number IN "
)
_HELD = """
    SELECT r.device_library_identifier AS key, p.id, p.program_id, p.serial_number, p.version,
        p.last_modified, r.registered_at
    FROM registrations r JOIN passes p ON p.id = r.pass_id
    WHERE r.device_library_identifier IN """


class GatheredRead:
    """Rows by a key, for many who ask at once. The statement's first column is named `key`."""

    def __init__(self, reader: AsyncEngine, statement: Executable) -> None:
        self._reader, self._statement = reader, statement
        self._is_sqlite = reader.dialect.name == "sqlite"
        self._waiting: list[tuple[str, asyncio.Future[list[Row[Any]]]]] = []
        self._reads: set[asyncio.Task[None]] = set()

    async def rows(self, key: str) -> Sequence[Row[Any]]:
        """The rows of one key as they are now."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Row[Any]]] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append((key, answer))
        return await answer

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.create_task(self._read(waiting))
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)

    async def _read(self, waiting: list[tuple[str, asyncio.Future[list[Row[Any]]]]]) -> None:
        found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
        try:
            keys = list({key for key, _ in waiting})
            sent = orjson.dumps(keys).decode() if self._is_sqlite else keys
            async with self._reader.connect() as connection:
                for row in await connection.execute(self._statement, {"keys": sent}):
                    found[row.key].append(row)
        except Exception as error:  # each of those who wait must hear of it: it becomes their own
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
            return
        for key, answer in waiting:
            if not answer.done():  # a phone that hung up
                answer.set_result(found[key])


class PhoneReads:
    """What the web service reads: a device's passes by its id; by serial number a pass's version, and the
    pass with all that it shows, from one moment.
    """

    def __init__(self, reader: AsyncEngine) -> None:
        keys = _KEYS[reader.dialect.name]
        self.versions = GatheredRead(reader, text(_VERSIONS + keys))
        self.served = GatheredRead(reader, content.served(keys))
        self.held = GatheredRead(reader, text(_HELD + keys).columns(registered_at=UtcDateTime()))
