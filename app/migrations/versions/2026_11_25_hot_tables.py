"""hot tables: PostgreSQL cleans up after a campaign while it runs, not when a fifth of the table is dead"""

from collections.abc import Sequence

from alembic import op

revision: str = "2026_11_25_hot_tables"
down_revision: str | None = "2026_11_25_campaign_runs"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Each row of `updates` changes four times for one push, `registrations` once; a job is a row that goes.
_SETTINGS = {
    "updates": {"fillfactor": "70"},
    "registrations": {"fillfactor": "85"},
    "pgqueuer": {},
}
_VACUUM = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_delay": "0",
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, settings in _SETTINGS.items():
        said = ", ".join(f"{name} = {value}" for name, value in (settings | _VACUUM).items())
        op.execute(f"ALTER TABLE {table} SET ({said})")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, settings in _SETTINGS.items():
        op.execute(f"ALTER TABLE {table} RESET ({', '.join(settings | _VACUUM)})")
