"""What a pass shows: the member, the account and the programme, filled into a neutral PassContent."""

from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Member, Program, Tier
from app.passes.models import Pass
from app.wallets.content import PassContent

Scalar = str | int | datetime | None


async def content_of(session: AsyncSession, issued: Pass, *, language: str | None = None) -> PassContent:
    """What this pass shows now, in the member's language or the one asked for. One query."""
    query = (
        select(Member, Account, Program, Tier)
        .join(Account, Account.id == Member.account_id)
        .join(Program, Program.id == Member.program_id)
        .outerjoin(Tier, Tier.id == Account.tier_id)
        .where(Member.id == issued.member_id)
    )
    member, account, program, tier = (await session.execute(query)).one()
    return fill(issued, member, account, program, tier, language=language)


def fill(
    issued: Pass,
    member: Member,
    account: Account,
    program: Program,
    tier: Tier | None,
    *,
    language: str | None = None,
) -> PassContent:
    """The content of a pass from the rows it depends on. Pure."""
    spoken = language or member.language
    zone = ZoneInfo(program.time_zone)
    values: dict[str, object] = {
        "program_name": program.name,
        "member_name": member.name,
        "card_number": member.card_number,
        "points": account.balance,
        "tier": _name_of(tier, spoken),
        "message": issued.message,
        "member_since": member.created_at.astimezone(zone).date(),
        "birthday": member.birthday,
        **{f"answer_{key}": _shown(answer) for key, answer in member.answers.items()},
    }
    return PassContent(
        values=cast("dict[str, str | int | None]", values),
        barcode=member.card_number,
        language=spoken,
        currency=program.currency,
        country=program.country,
        time_zone=program.time_zone,
        voided=issued.state != "active" or member.state == "blocked",
        expires_at=issued.expires_at,
    )


def _name_of(tier: Tier | None, language: str) -> str:
    if tier is None:
        return ""
    names = cast("dict[str, str]", tier.names)
    return names.get(language) or next(iter(names.values()), tier.code)


def _shown(answer: object) -> str:
    """An answer as a pass shows it: several choices joined by commas."""
    if isinstance(answer, list):
        return ", ".join(str(choice) for choice in cast("list[object]", answer))
    return "" if answer is None else str(answer)
