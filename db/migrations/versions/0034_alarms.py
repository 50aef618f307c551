"""Alarms on figures of forms, and what they found"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0034"
down_revision: str | None = "0033"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("sensitivity", sa.String(), nullable=False),
        sa.Column("min_difference", sa.Float(), nullable=False),
        sa.Column("cooldown_hours", sa.Integer(), nullable=False),
        sa.Column("fields", JsonColumn, nullable=False),
        sa.Column("recipients", JsonColumn, nullable=False),
        sa.Column("next_check_at", UTCDateTime(), nullable=True),
        sa.Column("checked_until", UTCDateTime(), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("unusual_since", UTCDateTime(), nullable=True),
        sa.Column("last_told_at", UTCDateTime(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"], ["form.tenant_id", "form.id"], name=op.f("fk_alarm_form"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_alarm")),
    )
    with op.batch_alter_table("alarm", schema=None) as batch_op:
        batch_op.create_index("ix_alarm_form", ["tenant_id", "form_id", "id"], unique=False)
        batch_op.create_index("ix_alarm_due", ["next_check_at"], unique=False)
    protect("alarm")
    op.create_table(
        "anomaly",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alarm_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("start", UTCDateTime(), nullable=False),
        sa.Column("end", UTCDateTime(), nullable=False),
        sa.Column("explanation", sa.String(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("details", JsonColumn, nullable=False),
        sa.Column("unusual_since", UTCDateTime(), nullable=False),
        sa.Column("found_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "alarm_id"],
            ["alarm.tenant_id", "alarm.id"],
            name=op.f("fk_anomaly_alarm"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"], ["form.tenant_id", "form.id"], name=op.f("fk_anomaly_form"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_anomaly")),
        sa.UniqueConstraint("tenant_id", "alarm_id", "start", name=op.f("uq_anomaly_start")),
    )
    with op.batch_alter_table("anomaly", schema=None) as batch_op:
        batch_op.create_index("ix_anomaly_form", ["tenant_id", "form_id", "id"], unique=False)
    protect("anomaly")


def downgrade() -> None:
    op.drop_table("anomaly")
    op.drop_table("alarm")
