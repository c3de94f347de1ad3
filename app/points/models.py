"""The ledger: entries that are only ever added, and the lots that say when points expire.

Account 1-* Entry                    balance = sum of points; sequence has no gaps
Entry (a credit) 1-1 Lot 1-* LotUse *-1 Entry (a debit, or the reversal of one)
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base


class Entry(Base):
    """One line of an account's ledger. Never changed, never deleted: a correction is another entry."""

    __tablename__ = "entries"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))  # who acted, where known
    sequence: Mapped[int] = mapped_column(BigInteger)  # 1, 2, 3 ... within the account
    kind: Mapped[str] = mapped_column(String(16))  # opening | earn | redeem | adjust | reverse | expire
    points: Mapped[int] = mapped_column(BigInteger)  # signed: a credit is above zero
    balance_after: Mapped[int] = mapped_column(BigInteger)
    tier_points: Mapped[int] = mapped_column(BigInteger, default=0)  # what it counts towards the tier
    amount_minor_units: Mapped[int | None] = mapped_column(BigInteger)  # of the purchase it was earned for
    reason: Mapped[str] = mapped_column(String(256), default="")
    source: Mapped[str] = mapped_column(String(64))  # who says so: "api", "bitrix24:...", "expiry"
    source_event: Mapped[str] = mapped_column(String(128))  # the source's own id of what happened
    reverses_id: Mapped[str | None] = mapped_column(ForeignKey("entries.id"))
    at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("account_id", "sequence"),
        UniqueConstraint("program_id", "source", "source_event"),
        UniqueConstraint("reverses_id"),
        Index("ix_entries_account_id_at", "account_id", "at"),
        CheckConstraint("points <> 0", name="points_not_zero"),
        CheckConstraint("balance_after >= 0", name="balance_after_not_negative"),
        CheckConstraint(
            "kind IN ('opening', 'earn', 'redeem', 'adjust', 'reverse', 'expire')", name="kind_known"
        ),
    )


class Lot(Base):
    """The points of one credit, and how many of them are left. Spent by expiry, then by age."""

    __tablename__ = "lots"

    entry_id: Mapped[str] = mapped_column(ForeignKey("entries.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    sequence: Mapped[int] = mapped_column(BigInteger)  # of its entry: a lot's age within the account
    points: Mapped[int] = mapped_column(BigInteger)
    remaining: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("remaining >= 0 AND remaining <= points", name="remaining_in_range"),
        Index(
            "ix_lots_open",
            "account_id",
            "expires_at",
            postgresql_where=text("remaining > 0"),
            sqlite_where=text("remaining > 0"),
        ),
        Index(
            "ix_lots_due",
            "expires_at",
            postgresql_where=text("remaining > 0"),
            sqlite_where=text("remaining > 0"),
        ),
    )


class LotUse(Base):
    """How many points an entry took from a lot; below zero: gave back to it, as they were.

    A lot's `remaining` is its `points` less the sum of its uses.
    """

    __tablename__ = "lot_uses"

    entry_id: Mapped[str] = mapped_column(ForeignKey("entries.id"), primary_key=True)
    lot_id: Mapped[str] = mapped_column(ForeignKey("lots.entry_id"), primary_key=True)
    points: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        CheckConstraint("points <> 0", name="points_not_zero"),
        Index("ix_lot_uses_lot_id", "lot_id"),
    )
