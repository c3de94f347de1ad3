"""Who works in the console, and what they did.

User  1-* SignInSession   signed in on a browser
User  1-* UserLink        to set a password with: an invitation, a reset
AuditEntry                what anybody did, chained by hashes
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base


class User(Base):
    """Somebody who may sign in. Nobody is ever deleted: the audit log names them."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)  # in small letters
    name: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))  # staff/roles.py
    language: Mapped[str] = mapped_column(String(8))  # of the console
    is_active: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str | None] = mapped_column(String(256))  # argon2id; None until a link was used
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)  # None: no second factor
    totp_step: Mapped[int] = mapped_column(BigInteger, default=0)  # the newest used: a code works once
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(
            "role IN ('owner', 'manager', 'marketer', 'hotline', 'security', 'auditor')", name="role_known"
        ),
    )


class SignInSession(Base):
    """A browser that somebody signed in with. Only the SHA-256 of its cookie is kept."""

    __tablename__ = "sign_in_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # hex
    id: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True)  # by which people name it
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    browser: Mapped[str] = mapped_column(String(200))  # what it says it is
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class UserLink(Base):
    """A secret address by which a user sets a password, once. Only its SHA-256 is kept."""

    __tablename__ = "user_links"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # hex
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    expires_at: Mapped[datetime]


class AuditEntry(Base):
    """Somebody did something. `hash` covers all of it and the entry before: none can be changed unseen."""

    __tablename__ = "audit_entries"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # 1, 2, 3 ...
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(64))  # a user's id, or "cli"
    who_name: Mapped[str] = mapped_column(String(254))
    action: Mapped[str] = mapped_column(String(64))  # user.created, session.ended, ...
    subject: Mapped[str] = mapped_column(String(64))  # the id of what it was done to
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    hash: Mapped[str] = mapped_column(String(64))  # hex SHA-256

    __table_args__ = (Index("ix_audit_entries_subject", "subject", "number"),)
