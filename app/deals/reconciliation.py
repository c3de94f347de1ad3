"""The night's comparison of all a portal's deals with our books: matched, corrected, disputed.

Where both differ and the rules allow it, ours follows the CRM, by the rules every report of a deal takes.
What they do not allow (a contact without a card, points already spent) is disputed: a person decides.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.deals.models import Reconciliation, ShownCard
from app.inbox.models import Purchase, Source
from app.members.models import Account, Member

COLUMNS = ("result", "what", "theirs", "ours", "points", "reason")
LINES_MAX = 10_000  # kept of one report; the counts are of all
# What a spreadsheet takes for a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class UnknownReconciliation(Exception):
    """There is no such report."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that did not agree. Amounts are texts: "10000.00", or what the CRM wrote."""

    result: str  # corrected | disputed
    what: str  # "deal:7405", "contact:12"
    theirs: str
    ours: str
    points: int  # that the correction moved
    reason: str = ""  # of a dispute: a key of the texts under [inbox]


async def keep(
    session: AsyncSession, source: Source, *, matched: int, lines: Sequence[Line], now: datetime
) -> Reconciliation:
    """Keep a night's report."""
    report = Reconciliation(
        id=new_id("rec"),
        program_id=source.program_id,
        source_id=source.id,
        at=now,
        matched=matched,
        corrected=sum(line.result == "corrected" for line in lines),
        disputed=sum(line.result == "disputed" for line in lines),
        lines=[asdict(line) for line in lines[:LINES_MAX]],
    )
    session.add(report)
    await session.flush()
    return report


async def reports(session: AsyncSession, source: Source, *, limit: int = 31) -> Sequence[Reconciliation]:
    """A source's reports, newest first."""
    query = select(Reconciliation).where(Reconciliation.source_id == source.id)
    return (await session.scalars(query.order_by(Reconciliation.id.desc()).limit(limit))).all()


async def report_by_id(session: AsyncSession, source: Source, report_id: str) -> Reconciliation:
    """One of a source's reports. Raises UnknownReconciliation."""
    found = await session.scalar(
        select(Reconciliation).where(Reconciliation.id == report_id, Reconciliation.source_id == source.id)
    )
    if found is None:
        raise UnknownReconciliation(f"no report {report_id}")
    return found


async def standing_purchases(
    session: AsyncSession, source: Source, *, after: str, limit: int
) -> Sequence[Purchase]:
    """Purchases that are worth something in our books, in the order of their references."""
    query = select(Purchase).where(
        Purchase.program_id == source.program_id,
        Purchase.source == source.key,
        Purchase.amount_minor_units > 0,
        Purchase.reference > after,
        Purchase.reference.startswith("deal:"),
    )
    return (await session.scalars(query.order_by(Purchase.reference).limit(limit))).all()


async def shown_cards(
    session: AsyncSession, source: Source, *, after: str, limit: int
) -> list[tuple[ShownCard, int]]:
    """Contacts whose fields are as we wrote them last, with their balances, in the order of their names."""
    query = (
        select(ShownCard, Account.balance)
        .join(Member, Member.id == ShownCard.member_id)
        .join(Account, Account.id == Member.account_id)
        .where(
            ShownCard.source_id == source.id,
            ShownCard.contact > after,
            ShownCard.sequence == Account.sequence,
        )
        .order_by(ShownCard.contact)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def show_again(session: AsyncSession, source: Source, contacts: Sequence[str]) -> None:
    """Have these contacts' fields written once more."""
    mine = (ShownCard.source_id == source.id) & ShownCard.contact.in_(contacts)
    await session.execute(update(ShownCard).where(mine).values(sequence=-1))


def as_csv(report: Reconciliation) -> str:
    """The report's lines as CSV with a header, safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(line) for line in report.lines)
    return out.getvalue()


def _row(line: dict[str, Any]) -> Iterable[object]:
    for column in COLUMNS:
        value = line[column]
        # A number stays a number; a text that would run as a formula is shown as text.
        yield f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
