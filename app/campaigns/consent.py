"""Who may be written to on which channel: the newest word on marketing, and the suppressions.

An SMS or an e-mail needs a consent that was given. A card in a wallet was put there by its owner: it may
carry news until they refuse.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.models import Suppression
from app.db import upsert
from app.members.models import Consent, Member

MARKETING = "marketing"
CHANNELS = ("wallet", "sms", "email")


def may_reach(program_id: str, channel: str, *, among: Sequence[str] | None = None) -> ColumnElement[bool]:
    """Whether a member may be written to on a channel, over Member. `among`: only these are asked about."""
    words = select(
        Consent.member_id,
        Consent.given,
        func.row_number()
        .over(partition_by=Consent.member_id, order_by=(Consent.at.desc(), Consent.id.desc()))
        .label("age"),
    ).where(Consent.program_id == program_id, Consent.kind == MARKETING)
    suppressed = select(Suppression.member_id).where(
        Suppression.program_id == program_id, Suppression.channel == channel
    )
    if among is not None:
        words = words.where(Consent.member_id.in_(among))
        suppressed = suppressed.where(Suppression.member_id.in_(among))
    newest = words.subquery()
    said = select(newest.c.member_id).where(newest.c.age == 1)
    if channel == "wallet":
        agrees = Member.id.not_in(said.where(newest.c.given.is_(False)))
    else:
        agrees = Member.id.in_(said.where(newest.c.given.is_(True)))
    return (Member.state == "active") & agrees & Member.id.not_in(suppressed)


async def reachable(
    session: AsyncSession, program_id: str, member_ids: Sequence[str], channel: str
) -> set[str]:
    """Those of these members who may be written to on a channel now."""
    query = select(Member.id).where(
        Member.id.in_(member_ids), may_reach(program_id, channel, among=member_ids)
    )
    return set(await session.scalars(query))


async def suppress(
    session: AsyncSession, program_id: str, member_id: str, channel: str, *, reason: str, now: datetime
) -> None:
    """Never write to this member on this channel again, until `release`. May be repeated."""
    statement = upsert(session, Suppression).values(
        member_id=member_id, channel=channel, program_id=program_id, reason=reason[:64], at=now
    )
    await session.execute(statement.on_conflict_do_nothing())


async def release(session: AsyncSession, program_id: str, member_id: str, channel: str) -> None:
    """Take a suppression back."""
    await session.execute(
        delete(Suppression).where(
            Suppression.program_id == program_id,
            Suppression.member_id == member_id,
            Suppression.channel == channel,
        )
    )
