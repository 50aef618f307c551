"""Exports as jobs, and the lake"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "response_export",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("wanted", JsonColumn, nullable=False),
        sa.Column("sees_personal", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("file", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"],
            ["form.tenant_id", "form.id"],
            name=op.f("fk_response_export_form"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_response_export")),
    )
    with op.batch_alter_table("response_export", schema=None) as batch_op:
        batch_op.create_index("ix_response_export_form", ["tenant_id", "form_id", "id"], unique=False)
        batch_op.create_index("ix_response_export_expires", ["expires_at"], unique=False)
    op.create_table(
        "lake_table",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("columns", JsonColumn, nullable=False),
        sa.Column("files", JsonColumn, nullable=False),
        sa.Column("pending", JsonColumn, nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"], ["form.tenant_id", "form.id"], name=op.f("fk_lake_table_form"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", name=op.f("pk_lake_table")),
    )
    protect("response_export")
    protect("lake_table")


def downgrade() -> None:
    op.drop_table("lake_table")
    op.drop_table("response_export")
