"""campaign class route: a campaign's message to everybody who holds a card at Google"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "2026_11_26_campaign_class_route"
down_revision: str | None = "2026_11_26_campaign_pace"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_IS_CAMPAIGNS = sa.text("campaign_id IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("class_messages") as table:
        table.add_column(sa.Column("campaign_id", sa.String(length=32), nullable=True))
        table.drop_constraint(op.f("ck_class_messages_state_known"), type_="check")
        table.create_check_constraint(
            op.f("ck_class_messages_state_known"), "state IN ('prepared', 'queued', 'sent', 'refused')"
        )
    op.create_index(
        "ix_class_messages_campaign_id",
        "class_messages",
        ["campaign_id"],
        postgresql_where=_IS_CAMPAIGNS,
        sqlite_where=_IS_CAMPAIGNS,
    )


def downgrade() -> None:
    op.drop_index("ix_class_messages_campaign_id", "class_messages")
    op.execute("DELETE FROM class_messages WHERE state = 'prepared'")
    with op.batch_alter_table("class_messages") as table:
        table.drop_constraint(op.f("ck_class_messages_state_known"), type_="check")
        table.create_check_constraint(
            op.f("ck_class_messages_state_known"), "state IN ('queued', 'sent', 'refused')"
        )
        table.drop_column("campaign_id")
