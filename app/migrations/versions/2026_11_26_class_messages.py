"""class messages: one to everybody who holds a pass of a class at Google; codes that tills have accepted"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "2026_11_26_class_messages"
down_revision: str | None = "2026_11_26_told_at"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "class_messages",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("program_id", sa.String(length=32), nullable=False),
        sa.Column("class_id", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=32), nullable=False),
        sa.Column("header", sa.String(length=60), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("texts", app.db.Json(), nullable=False),
        sa.Column("asks_to_ring", sa.Boolean(), nullable=False),
        sa.Column("shown_until", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("notify", sa.String(length=8), nullable=False),
        sa.Column("why", sa.String(length=400), nullable=False),
        sa.Column("holders", sa.Integer(), nullable=True),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("sent_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'refused')", name=op.f("ck_class_messages_state_known")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_class_messages_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_class_messages")),
    )
    op.create_index("ix_class_messages_class_id", "class_messages", ["class_id", "sent_at"], unique=False)
    op.create_index("ix_class_messages_program_id", "class_messages", ["program_id", "id"], unique=False)
    op.create_table(
        "used_codes",
        sa.Column("pass_id", sa.String(length=32), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pass_id"], ["passes.id"], name=op.f("fk_used_codes_pass_id")),
        sa.PrimaryKeyConstraint("pass_id", "step", name=op.f("pk_used_codes")),
    )
    op.create_index("ix_used_codes_at", "used_codes", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("used_codes")
    op.drop_table("class_messages")
