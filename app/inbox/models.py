"""What other systems tell us: the sources, every delivery as it came, and what purchases are worth by now.

Program 1-* Source 1-* InboundEvent
Source  1-* Purchase *-1 Account
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base

KIND_LENGTH, SLUG_LENGTH = 20, 40  # together with a colon they are a ledger's `source`


class Source(Base):
    """A CRM, shop or till that tells a programme what happened, at /hooks/{slug}."""

    __tablename__ = "sources"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), index=True)
    kind: Mapped[str] = mapped_column(String(KIND_LENGTH))  # a name of crm/known.py: "shopify"
    slug: Mapped[str] = mapped_column(String(SLUG_LENGTH), unique=True)  # in addresses: "boutique"
    name: Mapped[str] = mapped_column(String(128))
    settings: Mapped[dict[str, Any]]  # their shape belongs to the kind
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # its secrets: `sources.secrets_of` opens them
    state: Mapped[str] = mapped_column(String(16), default="active")  # active | paused: refuses deliveries
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("state IN ('active', 'paused')", name="state_known"),)

    @property
    def key(self) -> str:
        """What the ledger and external ids call this source: "shopify:boutique"."""
        return f"{self.kind}:{self.slug}"


class InboundEvent(Base):
    """One delivery, kept as it came before it was answered.

    States: received -> handled, or rested: it could not be handled, `reason` says why, and once that is
    mended it may be replayed. `event_key` is the source's own id of the event, else a digest of the body.
    """

    __tablename__ = "inbound_events"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"))
    event_key: Mapped[str] = mapped_column(String(128))
    url: Mapped[str]  # as it was called, its secret part left out
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(16), default="received")
    reason: Mapped[str | None] = mapped_column(String(64))  # a key of the texts under [inbox]
    details: Mapped[dict[str, Any]]  # rested: what the reason's text names; handled: {"did": [...]}
    attempts: Mapped[int] = mapped_column(default=0)
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("source_id", "event_key"),
        Index("ix_inbound_events_program_id_id", "program_id", "id"),
        Index(
            "ix_inbound_events_rested",
            "program_id",
            "id",
            postgresql_where=text("state = 'rested'"),
            sqlite_where=text("state = 'rested'"),
        ),
        Index("ix_inbound_events_handled_at", "handled_at"),
        CheckConstraint("state IN ('received', 'handled', 'rested')", name="state_known"),
    )


class Purchase(Base):
    """What a source last said a purchase or deal is worth, and the points that stand for it.

    The points are those of the entries "{reference}", "{reference}#2" ... of the ledger, together.
    """

    __tablename__ = "purchases"

    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(64), primary_key=True)  # `Source.key`
    reference: Mapped[str] = mapped_column(String(96), primary_key=True)  # "order:1042", "deal:7405"
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount_minor_units: Mapped[int] = mapped_column(BigInteger)
    rate_basis_points: Mapped[int]  # of the tier when it was first paid: a later edit keeps it
    points: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(default=0)  # of the newest entry
    as_of: Mapped[datetime | None]  # by the source's clock: what is older comes too late
    refunds: Mapped[list[Any]]  # the source's ids of what was given back already
    changed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("points >= 0", name="points_not_negative"),)
