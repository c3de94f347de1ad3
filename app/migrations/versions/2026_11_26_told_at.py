"""told at: two changes of a pass in a moment make its phones ask once, so the last time is remembered"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "2026_11_26_told_at"
down_revision: str | None = "2026_11_25_campaign_rules"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("updates", sa.Column("told_at", app.db.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("updates", "told_at")
