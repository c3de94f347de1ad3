"""Whom marketers talk to, what they say, exactly what would happen, and what happened to each.

Program  1-* Segment  1-* SegmentMember     of lists: a frozen audience, a CSV file
Program  1-* Campaign 1-* Plan              the newest plan is the one that may run
Plan     1-* Approval                       who agreed to exactly this plan
Plan     1-* Recipient                      a member of the frozen audience, and what became of it
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base


class Segment(Base):
    """A part of a programme's members: everyone a condition is true of now, or a list that stays as it is.

    The shape of `condition` is `campaigns/conditions.py`; a list has none.
    """

    __tablename__ = "segments"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(8))  # rule | list
    condition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("program_id", "name"),
        Index("ix_segments_program_id_id", "program_id", "id"),
        CheckConstraint("kind IN ('rule', 'list')", name="kind_known"),
    )


class SegmentMember(Base):
    """A member on a list."""

    __tablename__ = "segment_members"

    segment_id: Mapped[str] = mapped_column(ForeignKey("segments.id"), primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))

    __table_args__ = (Index("ix_segment_members_member_id", "member_id"),)


class Campaign(Base):
    """A planned message to an audience, with points or without.

    States: draft -> planned -> approved -> running -> done; paused and stopped on the way. The shape of
    `definition` is `campaigns/definition.py`.
    """

    __tablename__ = "campaigns"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16), default="draft")
    definition: Mapped[dict[str, Any]]
    plan_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # the newest
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)  # the last position of the plan that is done
    winner: Mapped[str | None] = mapped_column(String(32))  # the variant that goes to the rest
    created_by: Mapped[str] = mapped_column(String(64))  # an API key's id, or "cli"
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_campaigns_program_id_id", "program_id", "id"),
        CheckConstraint(
            "state IN ('draft', 'planned', 'approved', 'running', 'paused', 'stopped', 'done')",
            name="state_known",
        ),
    )


class Plan(Base):
    """Exactly what a campaign would do, frozen: its definition, its audience, its templates and its seed.

    `hash` covers all of it; an approval names the hash. `totals` is what people read before they agree.
    """

    __tablename__ = "plans"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"), index=True)
    hash: Mapped[str] = mapped_column(String(64))  # hex SHA-256
    seed: Mapped[str] = mapped_column(String(32))
    definition: Mapped[dict[str, Any]]
    templates: Mapped[dict[str, Any]]  # the fingerprint of each pass template in the audience, by name
    totals: Mapped[dict[str, Any]]
    recipients: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # after it, nobody may approve or start it


class Approval(Base):
    """Someone agreed to a plan."""

    __tablename__ = "approvals"

    plan_id: Mapped[str] = mapped_column(ForeignKey("plans.id"), primary_key=True)
    approved_by: Mapped[str] = mapped_column(String(64), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    at: Mapped[datetime]


class Recipient(Base):
    """One member of a plan's audience: what is to happen, and what did.

    Positions run from 1 in the order of sending, members of one account side by side. `facts` are the
    values the text names, as they were when the plan was made.
    """

    __tablename__ = "recipients"

    plan_id: Mapped[str] = mapped_column(ForeignKey("plans.id"), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    language: Mapped[str] = mapped_column(String(8))  # of the text that is sent
    wallet: Mapped[str] = mapped_column(String(16))  # apple | google | both | other | none
    route: Mapped[str] = mapped_column(String(8))  # wallet | sms | email | nobody
    variant: Mapped[str] = mapped_column(String(32))  # of the test; "hold_out" and "rest" get nothing yet
    facts: Mapped[dict[str, Any]]
    due_at: Mapped[datetime | None]  # None: as soon as the campaign runs
    state: Mapped[str] = mapped_column(String(16), default="planned")  # planned | done | skipped
    reason: Mapped[str] = mapped_column(String(64), default="")  # why skipped
    version: Mapped[int | None] = mapped_column(BigInteger)  # of the pass that carried the message
    pass_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    message_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)  # of the SMS or e-mail
    done_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_recipients_member_id_done_at", "member_id", "done_at"),
        Index("ix_recipients_campaign_id_state", "campaign_id", "state"),
        CheckConstraint("state IN ('planned', 'done', 'skipped')", name="state_known"),
    )
