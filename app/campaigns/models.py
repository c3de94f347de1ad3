"""Whom marketers talk to, what they say, exactly what would happen, and what happened to each.

Program  1-* Segment  1-* SegmentMember     of lists: a frozen audience, a CSV file
Program  1-* Campaign 1-* Plan              the newest plan is the one that may run
Plan     1-* Approval                       who agreed to exactly this plan
Plan     1-* Recipient                      a member of the frozen audience, and what became of it
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
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

    States: draft -> planning -> planned -> approved -> running -> done; paused and stopped on the way.
    The shape of `definition` is `campaigns/definition.py`.
    """

    __tablename__ = "campaigns"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16), default="draft")
    reason: Mapped[str] = mapped_column(String(512), default="")  # why it was not planned, or stopped
    definition: Mapped[dict[str, Any]]
    plan_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # the newest
    step: Mapped[int] = mapped_column(BigInteger, default=0)  # only the job that names it goes on
    done: Mapped[int] = mapped_column(BigInteger, default=0)  # recipients of the plan so far
    skipped: Mapped[int] = mapped_column(BigInteger, default=0)
    pace: Mapped[int] = mapped_column(default=2000, server_default="2000")  # recipients a second, now
    paced_at: Mapped[datetime | None]  # when it was set
    winner: Mapped[str | None] = mapped_column(String(32))  # the variant that goes to the rest
    parent_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # of a follow-up: what it follows
    rule_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # that started it
    created_by: Mapped[str] = mapped_column(String(64))  # an API key's id, or "cli"
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_campaigns_program_id_id", "program_id", "id"),
        CheckConstraint(
            "state IN ('draft', 'planning', 'planned', 'approved', 'running', 'paused', 'stopped', 'done')",
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
    zones: Mapped[dict[str, Any]]  # by time zone: when its members are due, as ISO 8601; null: at once
    totals: Mapped[dict[str, Any]]
    recipients: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # after it, nobody may approve it


class Approval(Base):
    """Someone agreed to a plan."""

    __tablename__ = "approvals"

    plan_id: Mapped[str] = mapped_column(ForeignKey("plans.id"), primary_key=True)
    approved_by: Mapped[str] = mapped_column(String(64), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    at: Mapped[datetime]


class Recipient(Base):
    """One member of a plan's audience: what is to happen, and what did.

    Members of one account have neighbouring positions. `facts` are the values the text names, as they were
    when the plan was made. No foreign keys: a million rows come from one statement that reads the rows they
    name, and checking five keys of each would take longer than all the rest.
    """

    __tablename__ = "recipients"

    plan_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # from 1
    program_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    campaign_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    member_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    account_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    zone: Mapped[str] = mapped_column(String(64))  # IANA: whose clock the schedule and quiet hours follow
    language: Mapped[str] = mapped_column(String(8))  # of the text that is sent
    wallet: Mapped[str] = mapped_column(String(8))  # apple | google | both | other | none
    route: Mapped[str] = mapped_column(String(8))  # wallet | sms | email | points | nobody
    variant: Mapped[str] = mapped_column(String(32))  # of the test; "hold_out" and "rest" are held
    facts: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(8))  # planned | held | done | skipped
    reason: Mapped[str] = mapped_column(String(32), default="")  # why skipped, or not on the first route
    version: Mapped[int | None] = mapped_column(BigInteger)  # of the pass that carried the message
    pass_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    message_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # of the SMS or e-mail
    done_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_recipients_member_id", "member_id"),
        Index(
            "ix_recipients_message_id",
            "message_id",
            postgresql_where=text("message_id IS NOT NULL"),
            sqlite_where=text("message_id IS NOT NULL"),
        ),
        Index(
            "ix_recipients_planned",
            "plan_id",
            "zone",
            "position",
            postgresql_where=text("state = 'planned'"),
            sqlite_where=text("state = 'planned'"),
        ),
        CheckConstraint("state IN ('planned', 'held', 'done', 'skipped')", name="state_known"),
    )


class Rule(Base):
    """Something that happens to members, and the campaign each of them gets then: a birthday, a lapse.

    The shape of `definition` is `campaigns/rules.py`.
    """

    __tablename__ = "rules"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(128))
    is_active: Mapped[bool] = mapped_column(default=False)
    definition: Mapped[dict[str, Any]]
    activated_by: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_rules_program_id_id", "program_id", "id"),)


class RuleFiring(Base):
    """A rule took a member up: not again before its period is over."""

    __tablename__ = "rule_firings"

    rule_id: Mapped[str] = mapped_column(ForeignKey("rules.id"), primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    campaign_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # None: true before the rule was


class Suppression(Base):
    """A member must not be written to on a channel: unsubscribed, bounced, asked us to stop."""

    __tablename__ = "suppressions"

    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(String(8), primary_key=True)  # wallet | sms | email
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    reason: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
