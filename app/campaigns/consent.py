"""Who may be written to on which channel: the newest word on marketing, and the suppressions.

An SMS or an e-mail needs a consent that was given. A card in a wallet was put there by its owner: it may
carry news until they refuse.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Boolean, ColumnElement, String, Subquery, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.models import Suppression
from app.db import Json, upsert
from app.members.models import Consent
from app.sql import IDS_GIVEN, typed_text

MARKETING = "marketing"
CHANNELS = ("wallet", "sms", "email")


def newest_words(program_id: str) -> Subquery:
    """By member, whether their newest word on marketing was yes: `member_id`, `given`."""
    words = select(
        Consent.member_id,
        Consent.given,
        func.row_number()
        .over(partition_by=Consent.member_id, order_by=(Consent.at.desc(), Consent.id.desc()))
        .label("age"),
    ).where(Consent.program_id == program_id, Consent.kind == MARKETING)
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
    return func.coalesce(given, _goes_without_saying(channel)) & suppressed.is_(None)


def _goes_without_saying(channel: str) -> bool:
    """Whether somebody who never said a word may be told there: who keeps a card in a wallet may."""
    return channel == "wallet"


_WORDS = {
    dialect: typed_text(
        f"""WITH asked AS ({asked}), words AS (
          SELECT member_id, given,
            row_number() OVER (PARTITION BY member_id ORDER BY at DESC, consents.id DESC) AS age
          FROM asked JOIN consents ON member_id = asked.id
          WHERE program_id = :program_id AND kind = '{MARKETING}')
        SELECT members.id, given FROM asked JOIN members ON members.id = asked.id
          LEFT JOIN words ON member_id = members.id AND age = 1
        WHERE members.state = 'active'""",  # noqa: S608  constants of this file
        {"ids": Json(), "program_id": String()},
    ).columns(given=Boolean())
    for dialect, asked in IDS_GIVEN.items()
}
_SUPPRESSED = {
    dialect: typed_text(
        f"""WITH asked AS ({asked}) SELECT member_id, channel FROM asked
        JOIN suppressions ON member_id = asked.id WHERE program_id = :program_id""",  # noqa: S608
        {"ids": Json(), "program_id": String()},
    )
    for dialect, asked in IDS_GIVEN.items()
}


async def reachable(
    session: AsyncSession, program_id: str, member_ids: Sequence[str]
) -> tuple[set[str], Mapping[str, set[str]]]:
    """Those of these members who are active, and of them, by channel, who may be written to now."""
    values = {"ids": list(member_ids), "program_id": program_id}
    dialect = session.get_bind().dialect.name
    given = {row.id: row.given for row in await session.execute(_WORDS[dialect], values)}
    suppressed = {tuple(row) for row in await session.execute(_SUPPRESSED[dialect], values)}
    by_channel = {
        channel: {
            member_id
            for member_id, word in given.items()
            if (_goes_without_saying(channel) if word is None else word)
            and (member_id, channel) not in suppressed
        }
        for channel in CHANNELS
    }
    return set(given), by_channel


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
