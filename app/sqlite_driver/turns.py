"""A writing transaction without SQLAlchemy around it, which costs several times what the statements do."""

import asyncio
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sqlite_driver.dialect import database_of
from app.sqlite_driver.writer import Answer, Transaction, Writer


class Turn:
    """One transaction on the writing connection: commits at the end of `async with`, or undoes it all.

    Statements run at once, on the event loop's thread. Only entering and leaving wait.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.dialect: Dialect = engine.dialect
        self._writer: Writer = database_of(engine).writer()
        self._transaction: Transaction | None = None

    async def __aenter__(self) -> "Turn":
        self._transaction = await self._writer.begin()
        return self

    async def __aexit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        assert self._transaction is not None
        if error_type is not None:
            self._writer.roll_back(self._transaction)
            return
        committed: asyncio.Future[None] | None = self._writer.release(self._transaction)
        if committed is not None:
            await committed

    def execute(self, sql: str, parameters: Any = ()) -> Answer:
        """Run one statement. Raises sqlite3.Error."""
        assert self._transaction is not None
        return self._writer.execute(self._transaction, sql, parameters, many=False)
