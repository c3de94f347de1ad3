"""A card at the till: whose it is by what was scanned, and whether a rotating code is new."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upsert
from app.members.models import Member
from app.passes.models import Pass, UsedCode

KEPT = timedelta(hours=3)  # longer than three periods of an hour: older codes are refused by their time


class UnknownCard(Exception):
    """What was scanned names no card of this programme."""


class WrongCode(Exception):
    """The rotating code is not this card's, or not of now: a photograph, or a phone with a wrong clock."""


class CodeUsed(Exception):
    """This very code was accepted before: a copy of the screen."""


async def named(session: AsyncSession, program_id: str, names: Collection[str]) -> list[Pass]:
    """The passes one of these names: by serial number or the member's card number; newest first.

    The active ones come before the others.
    """
    query = (
        select(Pass)
        .join(Member, Member.id == Pass.member_id)
        .where(
            Pass.program_id == program_id,
            or_(Pass.serial_number.in_(names), Member.card_number.in_(names)),
        )
        .order_by((Pass.state == "active").desc(), Pass.id.desc())
        .limit(20)
    )
    return list(await session.scalars(query))


async def use_code(session: AsyncSession, pass_id: str, step: int, *, now: datetime) -> None:
    """Accept a code once. Raises CodeUsed."""
    statement = (
        upsert(session, UsedCode)
        .values(pass_id=pass_id, step=step, at=now)
        .on_conflict_do_nothing()
        .returning(UsedCode.step)
    )
    if await session.scalar(statement) is None:
        raise CodeUsed("this code was used already: let the customer open the card and scan it again")


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop codes whose time is over."""
    await session.execute(delete(UsedCode).where(UsedCode.at < now - KEPT))
