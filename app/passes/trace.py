"""The evidence: what happened to a pass, line by line, and why a phone stayed silent."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.passes.models import TraceEvent

ISSUED = "issued"
LINK_OPENED = "link_opened"
DOWNLOADED = "downloaded"  # the .pkpass left through the pass page
INSTALLED = "installed"  # a device registered
UNINSTALLED = "uninstalled"
CHANGED = "changed"  # details: because of what
PUSH_ACCEPTED = "push_accepted"  # details: apns_id, device
PUSH_REFUSED = "push_refused"  # details: reason
DEVICE_GONE = "device_gone"
ASKED = "asked"  # a device asked what is new
FETCHED = "fetched"  # a device downloaded a version
NOT_MODIFIED = "not_modified"  # a device was answered 304
REFUSED = "refused"  # a request with a wrong token
VOIDED = "voided"
RESTORED = "restored"


async def record(
    session: AsyncSession,
    program_id: str,
    pass_ids: Sequence[str],
    kind: str,
    *,
    now: datetime,
    version: int | None = None,
    details: Mapping[str, str | int | None] | None = None,
) -> None:
    """Add one line to the story of each pass, in one statement."""
    if not pass_ids:
        return
    rows = [
        {
            "id": new_id("trc"),
            "program_id": program_id,
            "pass_id": pass_id,
            "kind": kind,
            "version": version,
            "details": dict(details or {}),
            "at": now,
        }
        for pass_id in pass_ids
    ]
    await session.execute(insert(TraceEvent), rows)


async def story(session: AsyncSession, pass_id: str, *, limit: int = 200) -> list[TraceEvent]:
    """The newest lines of a pass's story, oldest first."""
    newest = (
        select(TraceEvent).where(TraceEvent.pass_id == pass_id).order_by(TraceEvent.id.desc()).limit(limit)
    )
    return list(reversed((await session.scalars(newest)).all()))
