"""What is past its use goes at night: lines of passes' stories, and messages that found their end.

A batch in each transaction, so that nobody waits for a night's worth of rows; ids begin with their time, so
that finding the oldest is the beginning of the primary key.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import CursorResult, Delete, Select, delete, exists, select

from app.db import Base, oldest_id
from app.members.models import Message
from app.passes.models import TraceEvent
from app.wiring import Services

log = structlog.get_logger(__name__)

BATCH = 5000
ENDED = ("sent", "delivered", "failed")  # what waits for a person or for its turn stays


async def prune(services: Services) -> None:
    """Drop what is older than the settings say, until nothing is."""
    now, settings = services.clock(), services.settings
    lines = await _drop(services, TraceEvent, _old_lines(now - timedelta(days=settings.trace_kept_days)))
    old_messages = _old_messages(now - timedelta(days=settings.messages_kept_days))
    messages = await _drop(services, Message, old_messages)
    if lines or messages:
        log.info("retention.pruned", trace=lines, messages=messages)


def _old_lines(before: datetime) -> Select[str]:
    return select(TraceEvent.id).where(TraceEvent.id < oldest_id("trc", before), TraceEvent.at < before)


def _old_messages(before: datetime) -> Select[str]:
    """Finished messages that no row of another table speaks of."""
    messages = Base.metadata.tables[Message.__tablename__]
    named_by = [
        key.parent
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column is messages.c.id
    ]
    return select(Message.id).where(
        Message.id < oldest_id("msg", before),
        Message.created_at < before,
        Message.state.in_(ENDED),
        *(~exists().where(column == Message.id) for column in named_by),
    )


async def _drop(services: Services, model: type[TraceEvent | Message], old: Select[str]) -> int:
    """Delete the rows with these ids, a batch in each transaction; how many there were."""
    batch = delete(model).where(model.id.in_(old.order_by(model.id).limit(BATCH)))
    dropped = 0
    while True:
        count = await _delete(services, batch)
        dropped += count
        if count < BATCH:
            return dropped


async def _delete(services: Services, statement: Delete) -> int:
    async with services.sessions.begin() as session:
        result = await session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount
