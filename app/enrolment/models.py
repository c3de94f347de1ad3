"""Self-enrolment: forms, what was submitted, and the proofs of work already spent."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db import ID_LENGTH, Base


class Form(Base):
    """An enrolment form at /join/{slug}: its titles, questions and consents, in every language it speaks.

    The shape of `definition` is `enrolment/forms.py::FormDefinition`.
    """

    __tablename__ = "forms"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"), index=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    definition: Mapped[dict[str, Any]]
    opening_points: Mapped[int] = mapped_column(default=0)  # a new account's first entry
    is_open: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Submission(Base):
    """One accepted filling of a form. `outcome`: enrolled, known (link sent again) or held (limits)."""

    __tablename__ = "submissions"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("programs.id"))
    form_id: Mapped[str] = mapped_column(ForeignKey("forms.id"))
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    outcome: Mapped[str] = mapped_column(String(16))
    source_tag: Mapped[str] = mapped_column(String(64), default="")  # ?src= of the link or poster
    answers: Mapped[dict[str, Any]]
    at: Mapped[datetime]

    __table_args__ = (Index("ix_submissions_form_id_id", "form_id", "id"),)


class SpentChallenge(Base):
    """A proof of work that was used. A solution verifies twice, so it is remembered until it expires."""

    __tablename__ = "spent_challenges"

    challenge: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
