"""What an endpoint may ask for, and how it fares"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import is_postgres, protect
from db.roles import SYSTEM_ROLE
from db.types import JsonColumn, UTCDateTime

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_PENDING = sa.text("state = 'pending'")
_DUE = ["tenant_id", "endpoint_id", "next_at", "id"]


def upgrade() -> None:
    with op.batch_alter_table("webhook_endpoint", schema=None) as batch_op:
        batch_op.add_column(sa.Column("description", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("form_ids", JsonColumn, nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("payload_filter", JsonColumn, nullable=True))
        batch_op.add_column(sa.Column("headers", JsonColumn, nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("secret_headers", JsonColumn, nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("previous_secrets", JsonColumn, nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("max_concurrency", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("max_per_minute", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("disabled_reason", sa.String(), nullable=True))
    with op.batch_alter_table("webhook_delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("next_at", UTCDateTime(), nullable=True))
    if is_postgres():
        op.execute(f"SET LOCAL ROLE {SYSTEM_ROLE}")  # Row-level security is forced on the owner, too.
    op.execute("UPDATE webhook_delivery SET next_at = created_at, tries = attempts WHERE state = 'pending'")
    if is_postgres():
        op.execute("RESET ROLE")
    op.create_index(
        "ix_webhook_delivery_due", "webhook_delivery", _DUE, sqlite_where=_PENDING, postgresql_where=_PENDING
    )
    op.create_index("ix_webhook_delivery_list", "webhook_delivery", ["tenant_id", "endpoint_id", "id"])
    op.create_index("ix_webhook_delivery_finished_at", "webhook_delivery", ["finished_at"])
    with op.batch_alter_table("webhook_attempt", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request_headers", JsonColumn, nullable=False, server_default="{}"))
    op.create_table(
        "webhook_lane",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("run_at", UTCDateTime(), nullable=True),
        sa.Column("quiet_until", UTCDateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", UTCDateTime(), nullable=True),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("warned", sa.Integer(), nullable=False),
        sa.Column("last_success_at", UTCDateTime(), nullable=True),
        sa.Column("last_failure_at", UTCDateTime(), nullable=True),
        sa.Column("recovery_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"],
            ["webhook_endpoint.tenant_id", "webhook_endpoint.id"],
            name=op.f("fk_webhook_lane_webhook_endpoint"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_id", name=op.f("pk_webhook_lane")),
    )
    protect("webhook_lane")


def downgrade() -> None:
    op.drop_table("webhook_lane")
    with op.batch_alter_table("webhook_attempt", schema=None) as batch_op:
        batch_op.drop_column("request_headers")
    for name in ("ix_webhook_delivery_finished_at", "ix_webhook_delivery_list", "ix_webhook_delivery_due"):
        op.drop_index(name, table_name="webhook_delivery")
    with op.batch_alter_table("webhook_delivery", schema=None) as batch_op:
        for name in ("next_at", "tries", "is_test"):
            batch_op.drop_column(name)
    with op.batch_alter_table("webhook_endpoint", schema=None) as batch_op:
        for name in (
            *("disabled_reason", "max_per_minute", "max_concurrency", "previous_secrets", "secret_headers"),
            *("headers", "payload_filter", "form_ids", "description"),
        ):
            batch_op.drop_column(name)
