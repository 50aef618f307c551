"""What became of the documents of another backend"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0037"
down_revision: str | None = "0036"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "legacy_run",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("dump", sa.String(), nullable=False),
        sa.Column("options", JsonColumn, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("made_tenant", sa.Boolean(), nullable=False),
        sa.Column("report", JsonColumn, nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_legacy_run_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_legacy_run")),
    )
    protect("legacy_run")
    op.create_table(
        "legacy_document",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("collection", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=True),
        sa.Column("new_id", sa.String(), nullable=True),
        sa.Column("stored", sa.String(), nullable=True),
        sa.Column("notes", JsonColumn, nullable=True),
        sa.Column("extra", JsonColumn, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"],
            ["legacy_run.tenant_id", "legacy_run.id"],
            name=op.f("fk_legacy_document_legacy_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "collection", "source_id", name=op.f("pk_legacy_document")),
    )
    with op.batch_alter_table("legacy_document", schema=None) as batch_op:
        batch_op.create_index("ix_legacy_document_made", ["tenant_id", "form_id", "new_id"], unique=False)
    protect("legacy_document")


def downgrade() -> None:
    op.drop_table("legacy_document")
    op.drop_table("legacy_run")
