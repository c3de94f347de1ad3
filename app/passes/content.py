"""What a pass shows: the member, the account and the programme, filled into a neutral PassContent."""

from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Row, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Member, Program, Tier
from app.passes.models import Pass
from app.wallets.content import PassContent, Value

# Columns, not objects: after a campaign every phone comes for its pass, and each object costs more than
# the signature does.
_OF_A_PASS = select(
    Pass.id,
    Pass.program_id,
    Pass.member_id,
    Pass.template,
    Pass.state,
    Pass.message,
    Pass.expires_at,
    Pass.version,
    Pass.last_modified,
).where(Pass.serial_number == bindparam("serial_number"))

_OF_A_MEMBER = (
    select(
        Member.name,
        Member.card_number,
        Member.language,
        Member.birthday,
        Member.answers,
        Member.state,
        Member.created_at,
        Account.balance,
        Program.name.label("program_name"),
        Program.currency,
        Program.country,
        Program.time_zone,
        Tier.code.label("tier_code"),
        Tier.names.label("tier_names"),
    )
    .join(Account, Account.id == Member.account_id)
    .join(Program, Program.id == Member.program_id)
    .outerjoin(Tier, Tier.id == Account.tier_id)
    .where(Member.id == bindparam("member_id"))
)


async def issued_as(session: AsyncSession, serial_number: str) -> Row[*tuple[Any, ...]]:
    """The pass with this serial number, as the columns that serving it needs.

    Raises sqlalchemy.exc.NoResultFound when there is none.
    """
    return (await session.execute(_OF_A_PASS, {"serial_number": serial_number})).one()


async def content_of(
    session: AsyncSession, issued: Pass | Row[*tuple[Any, ...]], *, language: str | None = None
) -> PassContent:
    """What this pass shows now, in the member's language or the one asked for. One query."""
    row = (await session.execute(_OF_A_MEMBER, {"member_id": issued.member_id})).one()
    spoken = language or row.language
    values: dict[str, Value] = {
        "program_name": row.program_name,
        "member_name": row.name,
        "card_number": row.card_number,
        "points": row.balance,
        "tier": _tier_name(row.tier_code, row.tier_names, spoken),
        "message": issued.message,
        "member_since": row.created_at.astimezone(ZoneInfo(row.time_zone)).date(),
        "birthday": row.birthday,
        **{f"answer_{key}": _shown(answer) for key, answer in row.answers.items()},
    }
    return PassContent(
        values=values,
        barcode=row.card_number,
        language=spoken,
        currency=row.currency,
        country=row.country,
        time_zone=row.time_zone,
        voided=issued.state != "active" or row.state == "blocked",
        expires_at=issued.expires_at,
    )


def _tier_name(code: str | None, names: dict[str, str] | None, language: str) -> str:
    return (names or {}).get(language) or next(iter((names or {}).values()), code or "")


def _shown(answer: object) -> str:
    """An answer as a pass shows it: several choices joined by commas."""
    if isinstance(answer, list):
        return ", ".join(str(choice) for choice in cast("list[object]", answer))
    return "" if answer is None else str(answer)
