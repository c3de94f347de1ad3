"""The preset reports: one query each, read page by page by an id: no transaction waits for a download.

A report's columns are the labels of its query; their names for people are texts. The id pages are found by
comes last and is not shown.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import aliased

from app.campaigns.models import Campaign
from app.db import Sessions, oldest_id
from app.members.models import Account, Member, Program, Tier
from app.passes.models import GoogleObject, Pass, Registration, WebSubscription
from app.points.models import Entry, Lot
from app.spreadsheets import Cell

PAGE = 1000
EXPIRING_DAYS = 30

Query = Select[Any]


@dataclass(frozen=True)
class Period:
    """From `since` on, before `until`."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class Report:
    """One preset: `id` is what its pages go by, `query` what it selects besides."""

    id: Any
    query: Callable[[str, Period], Query]
    has_period: bool = True  # else it is of now

    def columns(self) -> list[str]:
        """The names of its columns, in their order."""
        moment = datetime(2026, 1, 1, tzinfo=UTC)  # any
        return list(self.query("", Period(moment, moment)).selected_columns.keys())


_TIER = select(Tier.code).where(Tier.id == Account.tier_id).scalar_subquery().label("tier")
_WHO = (Member.name.label("name"), Member.phone.label("phone"), Member.card_number.label("card_number"))


def _table(*columns: ColumnElement[Any]) -> Query:
    return select(*columns)


def _members(program_id: str, *also: ColumnElement[Any]) -> Query:
    """Members with their balance; of members who share one, each shows the whole."""
    query = _table(*_WHO, Account.balance.label("balance"), _TIER, *also)
    return query.join(Account, Account.id == Member.account_id).where(Member.program_id == program_id)


def _joined(program_id: str, period: Period) -> Query:
    return _members(program_id, Member.created_at.label("joined_at")).where(
        Member.created_at >= period.since, Member.created_at < period.until
    )


def _entries(program_id: str, period: Period) -> Query:
    """Entries are found by their ids, which sort by when they were written down."""
    # Where nobody knows who acted, the first member of the account stands for it.
    holder = aliased(Member)
    card = select(func.min(holder.card_number)).where(holder.account_id == Entry.account_id).scalar_subquery()
    query = _table(
        Entry.at.label("at"),
        func.coalesce(Member.card_number, card).label("card_number"),
        Entry.kind.label("kind"),
        Entry.points.label("points"),
        Entry.balance_after.label("balance"),
        Entry.reason.label("reason"),
        Entry.source.label("source"),
    )
    return query.outerjoin(Member, Member.id == Entry.member_id).where(
        Entry.program_id == program_id,
        Entry.id >= oldest_id("ent", period.since),
        Entry.id < oldest_id("ent", period.until),
    )


def _corrections(program_id: str, period: Period) -> Query:
    return _entries(program_id, period).where(Entry.kind.in_(("adjust", "reverse")))


def _redemptions(program_id: str, period: Period) -> Query:
    return _entries(program_id, period).where(Entry.kind == "redeem")


def _expiring(program_id: str, period: Period) -> Query:
    query = _table(
        Lot.expires_at.label("expires_at"),
        Account.phone.label("phone"),
        Lot.remaining.label("points"),
        Account.balance.label("balance"),
    )
    return query.join(Account, Account.id == Lot.account_id).where(
        Lot.program_id == program_id,
        Lot.remaining > 0,
        Lot.expires_at >= period.until,
        Lot.expires_at < period.until + timedelta(days=EXPIRING_DAYS),
    )


def _balances(program_id: str, period: Period) -> Query:  # as of now
    people = select(func.count()).select_from(Member).where(Member.account_id == Account.id).scalar_subquery()
    query = _table(
        Account.phone.label("phone"),
        Account.balance.label("balance"),
        _TIER,
        people.label("members"),
    )
    return query.where(Account.program_id == program_id, Account.balance > 0)


def _lapsed(program_id: str, period: Period) -> Query:
    came = exists().where(
        Entry.account_id == Account.id, Entry.at >= period.since, Entry.kind.in_(("earn", "redeem"))
    )
    last = select(func.max(Entry.at)).where(Entry.account_id == Account.id).scalar_subquery()
    return _members(program_id, last.label("last_at")).where(Member.created_at < period.since, ~came)


def _blocked(program_id: str, period: Period) -> Query:  # as of now
    return _members(program_id).where(Member.state == "blocked")


def _without_card(program_id: str, period: Period) -> Query:
    """Whose card no phone holds: to be sent the link once more."""
    held = exists().where(
        Pass.member_id == Member.id,
        Pass.state == "active",
        exists().where(Registration.pass_id == Pass.id)
        | exists().where(GoogleObject.pass_id == Pass.id, GoogleObject.has_users)
        | exists().where(WebSubscription.pass_id == Pass.id),
    )
    return _joined(program_id, period).where(Member.state == "active", ~held)


def _campaigns(program_id: str, period: Period) -> Query:
    query = _table(
        Campaign.name.label("name"),
        Campaign.state.label("state"),
        Campaign.started_at.label("started_at"),
        Campaign.finished_at.label("finished_at"),
        Campaign.done.label("told"),
        Campaign.skipped.label("skipped"),
    )
    return query.where(
        Campaign.program_id == program_id,
        Campaign.created_at >= period.since,
        Campaign.created_at < period.until,
    )


PRESETS: dict[str, Report] = {
    "joined": Report(Member.id, _joined),
    "without_card": Report(Member.id, _without_card),
    "lapsed": Report(Member.id, _lapsed),
    "blocked": Report(Member.id, _blocked, has_period=False),
    "movements": Report(Entry.id, _entries),
    "redemptions": Report(Entry.id, _redemptions),
    "corrections": Report(Entry.id, _corrections),
    "balances": Report(Account.id, _balances, has_period=False),
    "expiring": Report(Lot.entry_id, _expiring, has_period=False),
    "campaigns": Report(Campaign.id, _campaigns),
}


async def lines(
    sessions: Sessions, report: Report, program: Program, period: Period, *, page: int = PAGE
) -> AsyncGenerator[Sequence[Sequence[Cell]]]:
    """The report's lines, oldest first, a page at a time; moments on the programme's clock."""
    zone, after = ZoneInfo(program.time_zone), ""
    query = report.query(program.id, period).add_columns(report.id.label("_id")).order_by(report.id)
    while True:
        async with sessions() as session:
            rows = (await session.execute(query.where(report.id > after).limit(page))).all()
        if rows:
            yield [[_cell(value, zone) for value in row[:-1]] for row in rows]
            after = rows[-1][-1]
        if len(rows) < page:
            return


def _cell(value: Any, zone: ZoneInfo) -> Cell:
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return value
