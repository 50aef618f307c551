"""Work by the clock, and how queues are held"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_QUEUED = sa.text("state = 'queued'")
_ACTIVE = sa.text("active_key IS NOT NULL AND state IN ('queued', 'running')")
_ENABLED = sa.text("is_enabled")
_DUE_BEFORE = ("queue", "tenant_id", "run_at", "id")
_DUE = ("queue", "tenant_id", "kind", "priority", "run_at", "id")


def upgrade() -> None:
    op.add_column("job", sa.Column("active_key", sa.String(), nullable=True))
    op.add_column("job", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.drop_index("ix_job_due", "job", sqlite_where=_QUEUED, postgresql_where=_QUEUED)
    op.create_index("ix_job_due", "job", _DUE, sqlite_where=_QUEUED, postgresql_where=_QUEUED)
    op.create_index(
        "uq_job_active",
        "job",
        ["tenant_id", "active_key"],
        unique=True,
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )
    op.create_table(
        "job_pause",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("paused_by", sa.String(), nullable=False),
        sa.Column("paused_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "queue", "kind", name=op.f("pk_job_pause")),
    )
    protect("job_pause")
    op.create_table(
        "schedule",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", JsonColumn, nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("missed", sa.String(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("next_run_at", UTCDateTime(), nullable=False),
        sa.Column("last_run_at", UTCDateTime(), nullable=True),
        sa.Column("last_job_id", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_schedule")),
    )
    op.create_index("uq_schedule_name", "schedule", ["tenant_id", "name"], unique=True)
    op.create_index("ix_schedule_due", "schedule", ["next_run_at"], sqlite_where=_ENABLED, postgresql_where=_ENABLED)
    protect("schedule")
    op.create_table(
        "job_tally",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("lag_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "outcome", name=op.f("pk_job_tally")),
    )
    protect("job_tally", None)


def downgrade() -> None:
    op.drop_table("job_tally")
    op.drop_table("schedule")
    op.drop_table("job_pause")
    op.drop_index("uq_job_active", "job", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
    op.drop_index("ix_job_due", "job", sqlite_where=_QUEUED, postgresql_where=_QUEUED)
    op.create_index("ix_job_due", "job", _DUE_BEFORE, sqlite_where=_QUEUED, postgresql_where=_QUEUED)
    with op.batch_alter_table("job") as batch:
        batch.drop_column("priority")
        batch.drop_column("active_key")
