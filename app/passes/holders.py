"""When the person behind a pass changes, so does every pass they hold."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import people
from app.members.models import Member
from app.passes.models import Pass
from app.passes.versions import mark_changed
from app.webhooks.announce import announce


async def mark_member_changed(
    session: AsyncSession, member: Member, *, because: Mapping[str, str], now: datetime
) -> None:
    """Note that a member's data changed: every pass of theirs shows it, whatever its state."""
    await _mark(session, member, because=because, now=now)
    told = {"member_id": member.id, "changed": because["member"].split(", ")}
    await announce(session, member.program_id, "member.updated", told, now=now)


async def _mark(session: AsyncSession, member: Member, *, because: Mapping[str, str], now: datetime) -> None:
    held = (await session.scalars(select(Pass.id).where(Pass.member_id == member.id))).all()
    await mark_changed(session, member.program_id, held, because=because, now=now)


async def set_member_state(
    session: AsyncSession, program_id: str, member_id: str, state: str, *, now: datetime
) -> Member:
    """Block ("blocked") a member or let them back ("active"); their passes show it. May be repeated.

    Raises UnknownMember.
    """
    member = await people.member_to_change(session, program_id, member_id)
    if await people.set_state(session, member, state):
        await _mark(session, member, because={"member": state}, now=now)
        kind = "member.blocked" if state == "blocked" else "member.unblocked"
        await announce(session, program_id, kind, {"member_id": member.id}, now=now)
    return member
