"""lean trace: its lines are not checked against two other tables, and hot rows find room on their own page"""

from collections.abc import Sequence

from alembic import op

revision: str = "2026_11_27_lean_trace"
down_revision: str | None = "2026_11_26_console_users"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_KEYS = {"program_id": "programs", "pass_id": "passes"}
# A campaign changes every pass once and its update twice. What stays on its page costs no other page a write.
_FILL = {"passes": 50, "updates": 50}
_FILLED_BEFORE = {"passes": 100, "updates": 70}


def upgrade() -> None:
    with op.batch_alter_table("trace") as table:
        for column in _KEYS:
            table.drop_constraint(op.f(f"fk_trace_{column}"), type_="foreignkey")
    _fill(_FILL)


def downgrade() -> None:
    _fill(_FILLED_BEFORE)
    with op.batch_alter_table("trace") as table:
        for column, other in _KEYS.items():
            table.create_foreign_key(op.f(f"fk_trace_{column}"), other, [column], ["id"])


def _fill(factors: dict[str, int]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, factor in factors.items():
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {factor})")
