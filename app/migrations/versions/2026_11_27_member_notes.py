"""member notes: what the staff tells each other about a member"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "2026_11_27_member_notes"
down_revision: str | None = "2026_11_27_lean_trace"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "member_notes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("program_id", sa.String(length=32), nullable=False),
        sa.Column("member_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_member_notes_member_id")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_member_notes_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_notes")),
    )
    op.create_index(op.f("ix_member_notes_member_id"), "member_notes", ["member_id"])


def downgrade() -> None:
    op.drop_table("member_notes")
