"""What phones wrote to our log: the only diagnosis iOS gives from afar."""

import re
from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Program
from app.passes.models import DeviceLog, Pass
from app.web.api import paging
from app.web.api.keys import DevicesRead
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, Page, Time
from app.web.dependencies import Reading

router = APIRouter(tags=["devices"])

_SERIAL_NUMBER = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


class DeviceLogOut(Given):
    """A line a phone wrote."""

    id: str = Field(examples=["log_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["device_log"] = "device_log"
    line: str
    user_agent: str
    at: Time


@router.get("/device-logs", summary="What phones complained about")
async def list_device_logs(
    caller: DevicesRead, session: Reading, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[DeviceLogOut]:
    """Lines that phones wrote, newest first. A page may be short of `limit`: follow `has_more`.

    A phone does not say whose pass it holds. Where an installation has several programmes, each sees the
    lines only that name a serial number of its own.
    """
    page = await paging.page(session, select(DeviceLog), DeviceLog.id, limit=limit, cursor=cursor)
    rows = await _own(session, caller.program_id, page.rows)
    return page.of(
        [DeviceLogOut(id=row.id, line=row.line, user_agent=row.user_agent, at=row.at) for row in rows]
    )


async def _own(session: AsyncSession, program_id: str, rows: Sequence[DeviceLog]) -> list[DeviceLog]:
    others = select(Program.id).where(Program.id != program_id).limit(1)
    if await session.scalar(others) is None:
        return list(rows)
    named = {row.id: set(_SERIAL_NUMBER.findall(row.line)) for row in rows}
    query = select(Pass.serial_number).where(
        Pass.program_id == program_id, Pass.serial_number.in_(set[str]().union(*named.values()))
    )
    own = set((await session.scalars(query)).all())
    return [row for row in rows if named[row.id] & own]
