"""A CRM's portal as far as we know it.

Source 1-1 Portal            tokens, and how far its deals were read
       1-* Deal              a deal as we last read it
       1-* ShownCard         what a contact's custom fields say of a card
       1-* PortalText        a text that a CRM gave us to deliver
       1-* Reconciliation    whether its deals and our books agree
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base


class Portal(Base):
    """What changes about a portal while we work with it; its settings are the source's."""

    __tablename__ = "crm_portals"

    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    sealed_tokens: Mapped[bytes | None] = mapped_column(LargeBinary)
    tokens_until: Mapped[datetime | None]  # when the access token ends
    renewing_until: Mapped[datetime | None]  # somebody is asking for new ones until then
    read_until: Mapped[datetime | None]  # by the portal's clock: all that changed before it was read


class Deal(Base):
    """A deal as REST last described it. `read_at` is when that request began."""

    __tablename__ = "crm_deals"

    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"), primary_key=True)
    deal_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    title: Mapped[str]
    amount: Mapped[str]  # as the CRM writes it
    currency: Mapped[str] = mapped_column(String(8))
    outcome: Mapped[str] = mapped_column(String(8))  # open | won | lost
    contact: Mapped[str | None] = mapped_column(String(64))  # "contact:12"
    person: Mapped[dict[str, Any]]  # that contact: name, phones, email, birthday
    assigned_by: Mapped[int | None] = mapped_column(BigInteger)  # the manager's user id in the portal
    updated_at: Mapped[datetime | None]  # by the portal's clock
    read_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("outcome IN ('open', 'won', 'lost', 'deleted')", name="outcome_known"),)


class ShownCard(Base):
    """What we last wrote into a contact's custom fields."""

    __tablename__ = "crm_shown_cards"

    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"), primary_key=True)
    contact: Mapped[str] = mapped_column(String(64), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    sequence: Mapped[int] = mapped_column(BigInteger)  # of the account then
    tier_id: Mapped[str | None] = mapped_column(ForeignKey("tiers.id"))
    card_number: Mapped[str] = mapped_column(String(64))
    written_at: Mapped[datetime]


class PortalText(Base):
    """A text of the CRM's "send SMS" step: onto the pass where a phone holds one, else as an SMS."""

    __tablename__ = "crm_texts"

    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"), primary_key=True)
    text_id: Mapped[str] = mapped_column(String(64), primary_key=True)  # the CRM's own
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    code: Mapped[str] = mapped_column(String(64))  # of the provider it chose
    pass_id: Mapped[str | None] = mapped_column(ForeignKey("passes.id"))
    version: Mapped[int | None] = mapped_column(BigInteger)  # of the pass that carries it
    message_id: Mapped[str | None] = mapped_column(ForeignKey("messages.id"))
    reported: Mapped[str] = mapped_column(String(16), default="")  # the newest status the CRM was told
    created_at: Mapped[datetime]


class Reconciliation(Base):
    """A night's comparison of a portal's deals and fields with our books."""

    __tablename__ = "crm_reconciliations"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"))
    at: Mapped[datetime]
    matched: Mapped[int]
    corrected: Mapped[int]
    disputed: Mapped[int]
    lines: Mapped[list[Any]]  # what was corrected or is disputed: see `reconciliation.Line`

    __table_args__ = (Index("ix_crm_reconciliations_source_id_id", "source_id", "id"),)
