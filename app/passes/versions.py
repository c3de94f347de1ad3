"""A change that shows: the version rises, and each wallet is owed the newest one."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.job_queue import enqueue_many, kinds
from app.members.models import Member
from app.passes import trace
from app.passes.models import Pass, TraceEvent, Update

APPLE = "apple"


async def mark_account_changed(
    session: AsyncSession, program_id: str, account_id: str, *, because: Mapping[str, str], now: datetime
) -> None:
    """Note that every active pass of an account shows something new, such as its balance.

    The account must be locked by the caller: that is what keeps two changes of its passes in order.
    """
    holders = select(Member.id).where(Member.account_id == account_id)
    which = Pass.member_id.in_(holders) & (Pass.state == "active")
    await _mark(session, program_id, which, because=because, message=None, now=now)


async def mark_changed(
    session: AsyncSession,
    program_id: str,
    pass_ids: Sequence[str],
    *,
    because: Mapping[str, str],
    now: datetime,
    message: str | None = None,
) -> None:
    """Note that these passes show something new, whatever their state.

    `message` is the newest news on the back; None leaves it. `because` goes into the trace.
    """
    if pass_ids:
        await _mark(session, program_id, Pass.id.in_(pass_ids), because=because, message=message, now=now)


async def _mark(
    session: AsyncSession,
    program_id: str,
    which: ColumnElement[bool],
    *,
    because: Mapping[str, str],
    message: str | None,
    now: datetime,
) -> None:
    second = int(now.timestamp())
    # At least a whole second later than the last change: phones send the date back as an HTTP date, and of
    # two changes in one second the second would be answered 304 and never shown.
    later = case((Pass.last_modified >= second, Pass.last_modified + 1), else_=second)
    change = update(Pass).where(which).values(version=Pass.version + 1, last_modified=later)
    if message is not None:
        change = change.values(message=message)
    statement = change.returning(Pass.id, Pass.version).execution_options(synchronize_session=False)
    versions = {row.id: row.version for row in await session.execute(statement)}
    if not versions:
        return

    await session.execute(
        insert(TraceEvent),
        [
            {
                "id": new_id("trc"),
                "program_id": program_id,
                "pass_id": pass_id,
                "kind": trace.CHANGED,
                "version": version,
                "details": dict(because),
                "at": now,
            }
            for pass_id, version in versions.items()
        ],
    )
    await _want(session, versions, now=now)


async def _want(session: AsyncSession, versions: Mapping[str, int], *, now: datetime) -> None:
    """Raise what Apple's wallet is owed, and enqueue a job for each pass that has none on its way.

    Each UPDATE locks its rows until commit. So a worker that clears `queued` meanwhile has either done so
    before, and this change enqueues anew, or does so afterwards, and then reads this version.
    """
    edges = await _raise_wanted(session, versions, (~Update.queued,), now=now)
    on_their_way = {pass_id: version for pass_id, version in versions.items() if pass_id not in edges}
    if on_their_way:
        raised = await _raise_wanted(session, on_their_way, (), now=now, queued=None)
        turned = [pass_id for pass_id in on_their_way if not raised.get(pass_id, True)]
        edges |= await _raise_wanted(
            session, {pass_id: on_their_way[pass_id] for pass_id in turned}, (), now=now
        )
    await enqueue_many(
        session, kinds.PUSH_APPLE, [{"pass_id": pass_id} for pass_id in sorted(edges)], priority=kinds.LIVE
    )


async def _raise_wanted(
    session: AsyncSession,
    versions: Mapping[str, int],
    conditions: tuple[ColumnElement[bool], ...],
    *,
    now: datetime,
    queued: bool | None = True,
) -> dict[str, bool]:
    """Set what is wanted, and `queued` unless None; by pass, whether it is queued now."""
    if not versions:
        return {}
    wanted = case(versions, value=Update.pass_id)
    statement = (
        update(Update)
        .where(Update.pass_id.in_(versions), Update.wallet == APPLE, *conditions)
        .values(wanted_version=wanted, wanted_at=now)
        .returning(Update.pass_id, Update.queued)
        .execution_options(synchronize_session=False)
    )
    if queued is not None:
        statement = statement.values(queued=queued, touched_at=now)
    return {row.pass_id: row.queued for row in await session.execute(statement)}
