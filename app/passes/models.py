"""Issued passes, the phones that hold them, what those phones must still be told, and the evidence.

Member 1-* Pass 1-* PassLink           secret links in SMS
           Pass 1-* Registration       Apple-protocol devices that hold it
           Pass 1-* WebSubscription    browsers that keep its web card
           Pass 1-* Update             by wallet: the version it must reach
           Pass 1-0..1 GoogleObject    the same pass at Google, saved by somebody or not
           Pass 1-* TraceEvent         what happened, append-only
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base


class Pass(Base):
    """A pass issued to a member, whichever phones hold it. What it shows is computed, never stored."""

    __tablename__ = "passes"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    serial_number: Mapped[str] = mapped_column(String(64), unique=True)  # random: Apple's URLs carry it
    template: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default="active")  # active | voided | expired
    message: Mapped[str] = mapped_column(String(512), default="")  # the newest news on the back
    version: Mapped[int] = mapped_column(BigInteger, default=1)  # rises with every change that shows
    # Unix seconds; moves by at least one per change, because phones compare it as an HTTP date.
    last_modified: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("state IN ('active', 'voided', 'expired')", name="state_known"),
        CheckConstraint("version >= 1", name="version_positive"),
    )


class PassLink(Base):
    """The secret address of a pass, /p/{token}, as sent in an SMS. Only the token's SHA-256 is kept."""

    __tablename__ = "pass_links"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # hex
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    pass_id: Mapped[str] = mapped_column(ForeignKey("passes.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]  # the first time


class Registration(Base):
    """A device that holds a pass and wants to hear of its changes.

    One phone registers under many device ids, and one push token comes back under several: neither is unique.
    """

    __tablename__ = "registrations"

    device_library_identifier: Mapped[str] = mapped_column(String(128), primary_key=True)
    pass_id: Mapped[str] = mapped_column(ForeignKey("passes.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    push_service: Mapped[str] = mapped_column(String(16))  # apns | walletpasses | pass2u
    push_token: Mapped[str] = mapped_column(String(256))
    # The newest version told and accepted; where all of a pass's were told, its Update says so.
    pushed_version: Mapped[int] = mapped_column(BigInteger, default=0)
    registered_at: Mapped[datetime]
    seen_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_registrations_pass_id", "pass_id"),
        Index("ix_registrations_push_token", "push_token"),
    )


class WebSubscription(Base):
    """A browser that keeps the web card of a pass, and where it is pushed to."""

    __tablename__ = "web_subscriptions"

    endpoint_hash: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256, hex
    pass_id: Mapped[str] = mapped_column(ForeignKey("passes.id"), index=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    endpoint: Mapped[str] = mapped_column(String(1024))
    p256dh: Mapped[str] = mapped_column(String(128))
    auth: Mapped[str] = mapped_column(String(32))
    language: Mapped[str] = mapped_column(String(8))
    shown: Mapped[dict[str, Any]]  # by field, what its card said when it was last told
    pushed_version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class Update(Base):
    """The outbox: this wallet must reach this version of the pass. Ten changes make one push.

    `queued` says that a job of this `priority` is on its way and will read the newest version; only its edge
    from false to true enqueues one, or a change that must not wait as long as that job does.
    """

    __tablename__ = "updates"

    pass_id: Mapped[str] = mapped_column(ForeignKey("passes.id"), primary_key=True)
    wallet: Mapped[str] = mapped_column(String(8), primary_key=True)  # apple | google | web
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    wanted_version: Mapped[int] = mapped_column(BigInteger)
    sent_version: Mapped[int] = mapped_column(BigInteger, default=0)
    queued: Mapped[bool] = mapped_column(default=False)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    attempts: Mapped[int] = mapped_column(default=0)  # failed ones since the last success
    leased_until: Mapped[datetime | None]
    wanted_at: Mapped[datetime]
    touched_at: Mapped[datetime]  # when a job was last enqueued, taken or failed: the sweep looks for silence
    told_at: Mapped[datetime | None]  # when the wallet was last told of a change

    __table_args__ = (
        Index(
            "ix_updates_behind",
            "touched_at",
            postgresql_where=text("wanted_version > sent_version"),
            sqlite_where=text("wanted_version > sent_version"),
        ),
    )


class GoogleClass(Base):
    """A class at Google: what many objects share. Google can delete none, so rows are for ever too."""

    __tablename__ = "google_classes"

    class_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    resource: Mapped[str] = mapped_column(String(32))  # loyaltyClass | offerClass | ...
    body_hash: Mapped[str] = mapped_column(String(64), default="")  # of what Google has; empty: nothing yet
    leased_until: Mapped[datetime | None]  # somebody is writing it
    written_at: Mapped[datetime | None]


class GoogleObject(Base):
    """A pass at Google: what was sent of it, and whether anybody holds it."""

    __tablename__ = "google_objects"

    pass_id: Mapped[str] = mapped_column(ForeignKey("passes.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    object_id: Mapped[str] = mapped_column(String(255), unique=True)
    class_id: Mapped[str] = mapped_column(String(255))
    resource: Mapped[str] = mapped_column(String(32))  # loyaltyObject | offerObject | ...
    sent: Mapped[dict[str, Any]]  # by field, the hash of what Google has: only what differs is sent
    inserted_at: Mapped[datetime]
    has_users: Mapped[bool] = mapped_column(default=False)  # somebody's phones hold it
    saved_at: Mapped[datetime | None]  # the newest time each
    removed_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]  # when Google was last asked who holds it
    refusal: Mapped[str] = mapped_column(
        String(400), default=""
    )  # why Google did not take the newest version

    __table_args__ = (Index("ix_google_objects_class_id", "class_id"),)


class UsedCode(Base):
    """A code of a rotating barcode that a till has accepted: it is good for one time."""

    __tablename__ = "used_codes"

    pass_id: Mapped[str] = mapped_column(ForeignKey("passes.id"), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # the period it was made in
    at: Mapped[datetime]

    __table_args__ = (Index("ix_used_codes_at", "at"),)


class ClassMessage(Base):
    """A message to everybody who holds a pass of one class in Google Wallet."""

    __tablename__ = "class_messages"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)  # Google's id of it too
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    class_id: Mapped[str] = mapped_column(String(255))
    resource: Mapped[str] = mapped_column(String(32))  # loyaltyClass | offerClass | ...
    header: Mapped[str] = mapped_column(String(60))
    language: Mapped[str] = mapped_column(String(8))  # of the text for phones in none of the others
    texts: Mapped[dict[str, Any]]  # by language
    asks_to_ring: Mapped[bool]
    shown_until: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(8), default="queued")  # prepared | queued | sent | refused
    notify: Mapped[str] = mapped_column(String(8), default="")  # rings | silent, once it is sent
    why: Mapped[str] = mapped_column(String(400), default="")  # why silent, deferred or refused
    holders: Mapped[int | None]  # passes that somebody held when it was sent
    by: Mapped[str] = mapped_column(String(64))
    campaign_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # whose text it is, told at its end
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_class_messages_class_id", "class_id", "sent_at"),
        Index(
            "ix_class_messages_campaign_id",
            "campaign_id",
            postgresql_where=text("campaign_id IS NOT NULL"),
            sqlite_where=text("campaign_id IS NOT NULL"),
        ),
        Index("ix_class_messages_program_id", "program_id", "id"),
        CheckConstraint("state IN ('prepared', 'queued', 'sent', 'refused')", name="state_known"),
    )


class GoogleKeys(Base):
    """The keys Google signs its callbacks with, as it published them. One row."""

    __tablename__ = "google_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    fetched_at: Mapped[datetime]
    fresh_until: Mapped[datetime]


class GoogleCallback(Base):
    """A callback of Google's that was acted upon, by its nonce: it may be delivered again."""

    __tablename__ = "google_callbacks"

    nonce: Mapped[str] = mapped_column(String(128), primary_key=True)
    event: Mapped[str] = mapped_column(String(8))  # save | del
    at: Mapped[datetime]

    __table_args__ = (Index("ix_google_callbacks_at", "at"),)


class Ring(Base):
    """Once that a pass made its holders' phones ring, or may have: kept for the budget of a day."""

    __tablename__ = "rings"

    pass_id: Mapped[str] = mapped_column(ForeignKey("passes.id"), primary_key=True)
    wallet: Mapped[str] = mapped_column(String(8), primary_key=True)
    cause: Mapped[str] = mapped_column(String(8), primary_key=True)  # field | message
    key: Mapped[str] = mapped_column(String(64), primary_key=True)  # the version, or the message's id
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    purpose: Mapped[str] = mapped_column(String(16))  # live | campaign
    at: Mapped[datetime]

    __table_args__ = (Index("ix_rings_at", "at"),)


class TraceEvent(Base):
    """One line of a pass's story: issued, opened, installed, changed, pushed, asked, fetched, refused ...

    No foreign keys: whoever writes a line has just read the pass, and a campaign writes two for every phone.
    """

    __tablename__ = "trace"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    pass_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    kind: Mapped[str] = mapped_column(String(32))
    version: Mapped[int | None] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any]]
    at: Mapped[datetime]

    __table_args__ = (Index("ix_trace_pass_id_id", "pass_id", "id"),)


class DeviceLog(Base):
    """A line a phone wrote to /v1/log: the only diagnosis iOS gives from afar."""

    __tablename__ = "device_logs"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    line: Mapped[str] = mapped_column(String(1024))
    user_agent: Mapped[str] = mapped_column(String(256), default="")
    at: Mapped[datetime]
