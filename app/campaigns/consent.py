"""Who may be written to on which channel: the newest word on marketing, and the suppressions.

An SMS or an e-mail needs a consent that was given. A card in a wallet was put there by its owner: it may
carry news until they refuse.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Subquery, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.models import Suppression
from app.db import upsert
from app.members.models import Consent, Member

MARKETING = "marketing"
CHANNELS = ("wallet", "sms", "email")


def newest_words(program_id: str, *, among: Sequence[str] | None = None) -> Subquery:
    """By member, whether their newest word on marketing was yes: `member_id`, `given`."""
    words = select(
        Consent.member_id,
        Consent.given,
        func.row_number()
        .over(partition_by=Consent.member_id, order_by=(Consent.at.desc(), Consent.id.desc()))
        .label("age"),
    ).where(Consent.program_id == program_id, Consent.kind == MARKETING)
    if among is not None:
        words = words.where(Consent.member_id.in_(among))
    aged = words.subquery()
    return select(aged.c.member_id, aged.c.given).where(aged.c.age == 1).subquery()


def suppressed_on(program_id: str, channel: str) -> Subquery:
    """The members who must not be written to on a channel: `member_id`."""
    query = select(Suppression.member_id).where(
        Suppression.program_id == program_id, Suppression.channel == channel
    )
    return query.subquery()


def agrees(channel: str, given: ColumnElement[bool], suppressed: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a member may be told on a channel, over the outer-joined newest word and suppression."""
    return func.coalesce(given, channel == "wallet") & suppressed.is_(None)


async def reachable(
    session: AsyncSession, program_id: str, member_ids: Sequence[str], channel: str
) -> set[str]:
    """Those of these members who may be written to on a channel now."""
    words = newest_words(program_id, among=member_ids)
    suppressed = suppressed_on(program_id, channel)
    query = (
        select(Member.id)
        .outerjoin(words, words.c.member_id == Member.id)
        .outerjoin(suppressed, suppressed.c.member_id == Member.id)
        .where(
            Member.id.in_(member_ids),
            Member.state == "active",
            agrees(channel, words.c.given, suppressed.c.member_id),
        )
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
