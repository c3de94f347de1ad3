"""web subscriptions: browsers that keep a web card and are told of its changes"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.db import Json, UtcDateTime

revision: str = "2026_11_25_web_subscriptions"
down_revision: str | None = "2026_11_25_webhooks"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "web_subscriptions",
        sa.Column("endpoint_hash", sa.String(length=64), nullable=False),
        sa.Column("pass_id", sa.String(length=32), nullable=False),
        sa.Column("program_id", sa.String(length=32), nullable=False),
        sa.Column("endpoint", sa.String(length=1024), nullable=False),
        sa.Column("p256dh", sa.String(length=128), nullable=False),
        sa.Column("auth", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("shown", Json(), nullable=False),
        sa.Column("pushed_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pass_id"], ["passes.id"], name=op.f("fk_web_subscriptions_pass_id")),
        sa.ForeignKeyConstraint(
            ["program_id"], ["programs.id"], name=op.f("fk_web_subscriptions_program_id")
        ),
        sa.PrimaryKeyConstraint("endpoint_hash", name=op.f("pk_web_subscriptions")),
    )
    op.create_index("ix_web_subscriptions_pass_id", "web_subscriptions", ["pass_id"])


def downgrade() -> None:
    op.drop_table("web_subscriptions")
