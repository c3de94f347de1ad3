"""google callbacks: Google's keys, and the callbacks that were acted upon"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "2026_11_25_google_callbacks"
down_revision: str | None = "2026_11_25_web_subscriptions"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "google_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("document", app.db.Json(), nullable=False),
        sa.Column("fetched_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("fresh_until", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_google_keys")),
    )
    op.create_table(
        "google_callbacks",
        sa.Column("nonce", sa.String(length=128), nullable=False),
        sa.Column("event", sa.String(length=8), nullable=False),
        sa.Column("at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_google_callbacks")),
    )
    op.create_index("ix_google_callbacks_at", "google_callbacks", ["at"])


def downgrade() -> None:
    op.drop_index("ix_google_callbacks_at", "google_callbacks")
    op.drop_table("google_callbacks")
    op.drop_table("google_keys")
