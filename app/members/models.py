"""People and what they belong to. Read this file, `passes/models.py` and `points/models.py` first.

Program 1-* Tier
Program 1-* Account 1-* Member     by default one account per phone: a mother and her child share one
Member  1-* ExternalId, Consent, Message, MemberNote
Program 1-* ApiKey
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base

PHONE_LENGTH = 16  # E.164: a plus and at most fifteen digits


class Program(Base):
    """One brand's loyalty programme: its defaults, rules and texts. One installation holds several."""

    __tablename__ = "programs"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)  # in addresses: "coffee"
    name: Mapped[str] = mapped_column(String(128))
    country: Mapped[str] = mapped_column(String(2))  # ISO 3166: the default region of phone numbers
    language: Mapped[str] = mapped_column(String(8))  # of members who did not choose: "ru"
    currency: Mapped[str] = mapped_column(String(3))  # ISO 4217
    time_zone: Mapped[str] = mapped_column(String(64))  # IANA: "Europe/Moscow"
    template: Mapped[str] = mapped_column(String(64))  # the folder in pass_templates/ that new passes use
    points_expire_after_days: Mapped[int | None]  # None: points never expire
    tier_period_days: Mapped[int] = mapped_column(default=365)  # the rolling period tiers are earned in
    manager_email: Mapped[str | None] = mapped_column(String(254))  # told of every new member
    quiet_hours: Mapped[str | None] = mapped_column(String(11))  # in its time zone: "22:00-09:00"
    campaign_rings_per_day: Mapped[int | None]  # on each pass; None: as many as the wallets allow
    # shared: one account for a phone; mirrored: each member has an account, and what moves one moves all
    balances: Mapped[str] = mapped_column(String(8), default="shared", server_default="shared")
    created_at: Mapped[datetime]


class Tier(Base):
    """A level of a programme. A member's tier follows the points earned in the rolling period."""

    __tablename__ = "tiers"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    code: Mapped[str] = mapped_column(String(32))  # "gold"
    names: Mapped[dict[str, Any]]  # by language: {"en": "Gold", "ru": "Золотой"}
    threshold: Mapped[int] = mapped_column(BigInteger)  # points earned in the period to reach it
    rate_basis_points: Mapped[int]  # points per 100 units of money, in hundredths: 500 is 5 %

    __table_args__ = (
        UniqueConstraint("program_id", "code"),
        UniqueConstraint("program_id", "threshold"),
        CheckConstraint("threshold >= 0", name="threshold_not_negative"),
        CheckConstraint("rate_basis_points >= 0", name="rate_not_negative"),
    )


class Account(Base):
    """The holder of a points balance and a tier, shared by the members on one phone number.

    `balance` and `sequence` are the running totals of the account's entries; `passbell reconcile` proves it.
    """

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH))  # None: no phone known
    balance: Mapped[int] = mapped_column(BigInteger, default=0)
    sequence: Mapped[int] = mapped_column(BigInteger, default=0)  # of the newest entry
    tier_id: Mapped[str | None] = mapped_column(ForeignKey("tiers.id"))
    tier_is_manual: Mapped[bool] = mapped_column(default=False)  # set by hand: earning does not move it
    tier_points: Mapped[int] = mapped_column(
        BigInteger, default=0
    )  # earned since `tier_from`, less reversals
    tier_from: Mapped[datetime | None]  # when the oldest of them was earned: the period they count in ends
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("program_id", "phone"),
        Index("ix_accounts_program_id_tier_from", "program_id", "tier_from"),
        CheckConstraint("balance >= 0", name="balance_not_negative"),
    )


class Member(Base):
    """A person in one programme."""

    __tablename__ = "members"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    card_number: Mapped[str] = mapped_column(String(64))  # what the barcode says and the till scans
    name: Mapped[str] = mapped_column(String(128))
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH))
    email: Mapped[str | None] = mapped_column(String(254))
    birthday: Mapped[date | None]
    language: Mapped[str] = mapped_column(String(8))
    answers: Mapped[dict[str, Any]]  # to the form's own questions, by question key
    state: Mapped[str] = mapped_column(String(16), default="active")  # active | blocked
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("program_id", "card_number"),
        Index("ix_members_program_id_phone", "program_id", "phone"),
        Index("ix_members_program_id_created_at", "program_id", "created_at"),
        CheckConstraint("state IN ('active', 'blocked')", name="state_known"),
    )


class ExternalId(Base):
    """A member's id in another system: ("bitrix24:school.bitrix24.ru", "contact:4711")."""

    __tablename__ = "external_ids"

    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    external_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)


class Consent(Base):
    """Evidence that a member agreed, or refused: to what text exactly, when and from where."""

    __tablename__ = "consents"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))  # "personal_data", "marketing"
    version: Mapped[str] = mapped_column(String(32))  # of the text shown: "2026-11-01"
    language: Mapped[str] = mapped_column(String(8))
    text: Mapped[str]  # the words the person saw
    given: Mapped[bool]
    at: Mapped[datetime]
    ip_network: Mapped[str | None] = mapped_column(String(64))  # the /24 or /64 it came from


class MemberNote(Base):
    """What somebody of the staff wrote down about a member, for the others. Nothing is taken back."""

    __tablename__ = "member_notes"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH))  # of the console who wrote it
    text: Mapped[str] = mapped_column(String(1000))
    at: Mapped[datetime]


class Message(Base):
    """One SMS or e-mail to a person. Never sent twice: "sending" is written before the provider is called.

    States: queued -> sending -> sent -> delivered, or failed; unknown when the provider's answer was lost
    and it could not be asked, which waits for a person instead of a second SMS.
    """

    __tablename__ = "messages"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    channel: Mapped[str] = mapped_column(String(16))  # sms | email
    purpose: Mapped[str] = mapped_column(String(32))  # pass_link | new_member | ...
    recipient: Mapped[str] = mapped_column(String(254))  # E.164 or an e-mail address
    subject: Mapped[str | None] = mapped_column(String(256))
    text: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), default="queued")
    provider: Mapped[str | None] = mapped_column(String(32))
    provider_id: Mapped[str | None] = mapped_column(String(128))
    segments: Mapped[int | None]
    cost: Mapped[Any] = mapped_column(Numeric(12, 4), nullable=True)
    currency: Mapped[str | None] = mapped_column(String(3))
    error: Mapped[str | None] = mapped_column(String(256))
    created_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]  # when "sending" was last written
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_messages_program_id_id", "program_id", "id"),
        Index("ix_messages_provider_id", "provider", "provider_id"),
        CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'unknown')", name="state_known"
        ),
    )


class ApiKey(Base):
    """A key of the REST API: "pb_live_<id>_<secret>_<checksum>". Only the secret's SHA-256 is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    secret_hash: Mapped[str] = mapped_column(String(64))  # hex
    scopes: Mapped[list[Any]]  # ["transactions:write", "members:read", ...] or ["*"]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class StoredAnswer(Base):
    """The first answer to a request with an Idempotency-Key, given again to every repeat of it."""

    __tablename__ = "stored_answers"

    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))  # hex SHA-256 of method, path and body
    status: Mapped[int]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(index=True)


class Notice(Base):
    """Something a manager is told: shown on the desk and the console, and e-mailed where SMTP is set up."""

    __tablename__ = "notices"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    kind: Mapped[str] = mapped_column(String(32))  # "member.enrolled"
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    details: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_notices_program_id_id", "program_id", "id"),
        Index("ix_notices_unread", "program_id", postgresql_where=text("read_at IS NULL")),
    )
