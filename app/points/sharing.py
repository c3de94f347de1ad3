"""Who shares whose points: a member moves to another's account, and what they had comes along."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked
from app.members import people
from app.members.models import Account, Member
from app.passes.holders import mark_member_changed
from app.points import ledger

SOURCE = "sharing"


async def move_to(
    session: AsyncSession, program_id: str, member_id: str, account_id: str, *, reason: str, now: datetime
) -> Member:
    """Let a member share another account. Alone on the old one, they bring its points along.

    The points stand in both ledgers, as adjustments that name each other; they do not count for the tier,
    and expire by the date of the move. An account that nobody is left on gives its phone up. May be repeated.
    Raises UnknownMember, UnknownAccount.
    """
    member = await people.member_to_change(session, program_id, member_id)
    target = await people.account_by_id(session, program_id, account_id)
    if member.account_id == target.id:
        return member
    old_id = member.account_id
    for each in sorted((old_id, target.id)):  # in one order, as all who lock several accounts
        await locked(session, select(Account).where(Account.id == each))
    old = await session.get_one(Account, old_id)
    others = select(Member.id).where(Member.account_id == old_id, Member.id != member.id).limit(1)
    is_alone = await session.scalar(others) is None
    if is_alone and old.balance:
        await _bring_along(session, old, target, reason=reason, now=now)
    member.account_id = target.id
    if is_alone:
        await session.refresh(old)  # the ledger has moved it
        old.phone = None
    await session.flush()
    because = {"member": "account", "from": old_id, "to": target.id}
    await mark_member_changed(session, member, because=because, now=now)
    return member


async def _bring_along(
    session: AsyncSession, old: Account, target: Account, *, reason: str, now: datetime
) -> None:
    event = f"{old.id}:{old.sequence}"
    for account_id, points in ((old.id, -old.balance), (target.id, old.balance)):
        await ledger.adjust(
            session,
            account_id,
            points,
            reason=reason or f"{old.id} -> {target.id}",
            source=SOURCE,
            source_event=f"{'out' if points < 0 else 'in'}:{event}",
            program_id=old.program_id,
            now=now,
        )
