"""Outgoing webhooks.

Program 1-* WebhookEndpoint 1-* WebhookDelivery *-1 WebhookEvent
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base


class WebhookEndpoint(Base):
    """Somebody who wants to hear: at a URL that is called, or without one by fetching and acknowledging."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), index=True)
    url: Mapped[str | None] = mapped_column(String(2000))  # None: fetches
    description: Mapped[str] = mapped_column(String(128))
    event_types: Mapped[list[Any]]  # names of webhooks/types.py, or ["*"]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # its signing secrets
    state: Mapped[str] = mapped_column(String(16), default="active")
    disabled_because: Mapped[str | None] = mapped_column(String(256))
    failing_since: Mapped[datetime | None]  # the first failure since the last success
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("state IN ('active', 'disabled')", name="state_known"),)


class WebhookEvent(Base):
    """Something that happened, as it is told: written in the transaction that made it happen."""

    __tablename__ = "webhook_events"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), index=True)
    type: Mapped[str] = mapped_column(String(48))
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(index=True)


class WebhookDelivery(Base):
    """One event for one endpoint. States: waiting -> delivered, or failed after the last try."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[str] = mapped_column(ForeignKey("webhook_events.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    status: Mapped[int | None]  # of the last answer
    error: Mapped[str | None] = mapped_column(String(256))
    next_at: Mapped[datetime | None]  # when it is tried next
    delivered_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        Index("ix_webhook_deliveries_endpoint_id_state_id", "endpoint_id", "state", "id"),
        Index("ix_webhook_deliveries_program_id_id", "program_id", "id"),
        CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state_known"),
    )
