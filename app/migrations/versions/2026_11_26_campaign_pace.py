"""campaign pace: a campaign goes as fast as phones are answered, which the web processes write down"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "2026_11_26_campaign_pace"
down_revision: str | None = "2026_11_26_balances"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "answer_times",
        sa.Column("process", sa.String(length=16), nullable=False),
        sa.Column("at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_answer_times")),
    )
    op.add_column("campaigns", sa.Column("pace", sa.Integer(), server_default="2000", nullable=False))
    op.add_column("campaigns", sa.Column("paced_at", app.db.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("campaigns", "paced_at")
    op.drop_column("campaigns", "pace")
    op.drop_table("answer_times")
