"""What the desk's CRM panel shows: members with balance and tier, and what the manager was told."""

from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Member, Notice, Program, Tier
from app.passes.models import GoogleObject, Pass, Registration
from app.points.models import Entry

MEMBERS_SHOWN = 30
NOTICES_SHOWN = 12


async def overview(session: AsyncSession, slug: str, *, language: str) -> dict[str, Any]:
    """Newest members and notices first; nothing of a programme that is not there."""
    program = await session.scalar(select(Program).where(Program.slug == slug))
    if program is None:
        return {"members": [], "notices": []}
    return {
        "members": await _members(session, program.id, language),
        "notices": await _notices(session, program.id),
    }


async def _members(session: AsyncSession, program_id: str, language: str) -> list[dict[str, Any]]:
    phones = select(func.count()).where(Registration.pass_id == Pass.id).correlate(Pass).scalar_subquery()
    android = (
        select(func.count())
        .where(GoogleObject.pass_id == Pass.id, GoogleObject.has_users)
        .correlate(Pass)
        .scalar_subquery()
    )
    newest = (
        select(func.max(Entry.id)).where(Entry.account_id == Account.id).correlate(Account).scalar_subquery()
    )
    query = (
        select(Member, Account, Tier, Pass, phones + android, newest)
        .join(Account, Account.id == Member.account_id)
        .join(Pass, Pass.member_id == Member.id)
        .outerjoin(Tier, Tier.id == Account.tier_id)
        .where(Member.program_id == program_id, Pass.state == "active")
        .order_by(Member.id.desc())
        .limit(MEMBERS_SHOWN)
    )
    return [
        {
            "id": member.id,
            "name": member.name,
            "phone": member.phone,
            "card": member.card_number,
            "account": account.id,
            "balance": account.balance,
            "tier": _name(tier, language),
            "pass": issued.id,
            "serial": issued.serial_number,
            "version": issued.version,
            "devices": devices,
            "lastEntry": entry,
        }
        for member, account, tier, issued, devices, entry in (await session.execute(query)).tuples()
    ]


async def _notices(session: AsyncSession, program_id: str) -> list[dict[str, Any]]:
    query = (
        select(Notice).where(Notice.program_id == program_id).order_by(Notice.id.desc()).limit(NOTICES_SHOWN)
    )
    return [
        {"id": each.id, "kind": each.kind, "details": each.details, "at": each.created_at.isoformat()}
        for each in (await session.scalars(query)).all()
    ]


def _name(tier: Tier | None, language: str) -> str:
    if tier is None:
        return ""
    names = cast("dict[str, str]", tier.names)
    return names.get(language, tier.code)
