"""Pages of lists: newest first, a cursor instead of an offset, no total."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.db import Base
from app.web.api.values import Page

LIMIT_DEFAULT = 50
LIMIT_MAX = 200

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many at most")]
Cursor = Annotated[
    str | None,
    Query(pattern="^[a-z]{2,5}_[0-9a-z]{26}$", description="`next_cursor` of the page before"),
]
Row = TypeVar("Row", bound=Base)
Item = TypeVar("Item", bound=BaseModel)


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """The rows of one page, and the cursor of the next."""

    rows: list[Row]
    next_cursor: str | None

    def of(self, items: Sequence[Item]) -> Page[Item]:
        """The page as the API gives it; `items` are the rows as they are shown."""
        return Page(data=list(items), has_more=self.next_cursor is not None, next_cursor=self.next_cursor)


async def page(
    session: AsyncSession,
    query: Select[Row],
    by: InstrumentedAttribute[str],
    *,
    limit: int,
    cursor: str | None,
) -> Rows[Row]:
    """The rows of a query that come after the cursor, by falling id (ids of one kind sort by age)."""
    if cursor is not None:
        query = query.where(by < cursor)
    found = list((await session.scalars(query.order_by(by.desc()).limit(limit + 1))).all())
    more = len(found) > limit
    rows = found[:limit]
    return Rows(rows, getattr(rows[-1], by.key) if more else None)
