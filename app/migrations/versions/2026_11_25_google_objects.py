"""google objects: what Google has of each pass, whose turn it is to send, and what rang today"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import app.db

revision: str = "2026_11_25_google_objects"
down_revision: str | None = "2026_11_25_hot_tables"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "google_classes",
        sa.Column("class_id", sa.String(length=255), nullable=False),
        sa.Column("program_id", sa.String(length=32), nullable=False),
        sa.Column("resource", sa.String(length=32), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("leased_until", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("written_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_google_classes_program_id")),
        sa.PrimaryKeyConstraint("class_id", name=op.f("pk_google_classes")),
    )
    op.create_table(
        "google_objects",
        sa.Column("pass_id", sa.String(length=32), nullable=False),
        sa.Column("program_id", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=255), nullable=False),
        sa.Column("class_id", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=32), nullable=False),
        sa.Column("sent", app.db.Json(), nullable=False),
        sa.Column("inserted_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("has_users", sa.Boolean(), nullable=False),
        sa.Column("saved_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("removed_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("checked_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("refusal", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(["pass_id"], ["passes.id"], name=op.f("fk_google_objects_pass_id")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_google_objects_program_id")),
        sa.PrimaryKeyConstraint("pass_id", name=op.f("pk_google_objects")),
        sa.UniqueConstraint("object_id", name=op.f("uq_google_objects_object_id")),
    )
    op.create_index("ix_google_objects_class_id", "google_objects", ["class_id"])
    op.create_table(
        "rings",
        sa.Column("pass_id", sa.String(length=32), nullable=False),
        sa.Column("wallet", sa.String(length=8), nullable=False),
        sa.Column("cause", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("program_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pass_id"], ["passes.id"], name=op.f("fk_rings_pass_id")),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name=op.f("fk_rings_program_id")),
        sa.PrimaryKeyConstraint("pass_id", "wallet", "cause", "key", name=op.f("pk_rings")),
    )
    op.create_index("ix_rings_at", "rings", ["at"])
    op.create_table(
        "paces",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("arrival", sa.Double(), nullable=False),
        sa.Column("slowed_to", sa.Double(), nullable=False),
        sa.Column("slowed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_paces")),
    )
    op.add_column("programs", sa.Column("quiet_hours", sa.String(length=11), nullable=True))
    op.add_column("programs", sa.Column("campaign_rings_per_day", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("programs", "campaign_rings_per_day")
    op.drop_column("programs", "quiet_hours")
    op.drop_table("paces")
    op.drop_index("ix_rings_at", "rings")
    op.drop_table("rings")
    op.drop_index("ix_google_objects_class_id", "google_objects")
    op.drop_table("google_objects")
    op.drop_table("google_classes")
