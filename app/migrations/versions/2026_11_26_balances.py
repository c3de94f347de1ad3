"""balances: whether members on one phone share an account, or each has one that is moved with the others"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "2026_11_26_balances"
down_revision: str | None = "2026_11_26_class_messages"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    column = sa.Column("balances", sa.String(length=8), nullable=False, server_default="shared")
    op.add_column("programs", column)


def downgrade() -> None:
    op.drop_column("programs", "balances")
