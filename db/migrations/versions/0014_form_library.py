"""The life of forms: archive, trash and templates; replies to those who answered"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("form", sa.Column("purge_started_at", UTCDateTime(), nullable=True))
    op.create_index(
        "ix_form_deleted",
        "form",
        ["deleted_at"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index("ix_mail_recipient", "mail", ["tenant_id", "recipient", "created_at"])
    op.add_column("form_version", sa.Column("notes", sa.String(), nullable=True))
    op.create_table(
        "form_slug",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("left_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"],
            ["form.tenant_id", "form.id"],
            name=op.f("fk_form_slug_form"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "slug", name=op.f("pk_form_slug")),
    )
    with op.batch_alter_table("form_slug", schema=None) as batch_op:
        batch_op.create_index("ix_form_slug_form", ["tenant_id", "form_id"], unique=False)
    protect("form_slug")
    op.create_table(
        "form_template",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("definition", JsonColumn, nullable=False),
        sa.Column("settings", JsonColumn, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_form_template_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_form_template")),
    )
    protect("form_template")


def downgrade() -> None:
    op.drop_table("form_template")
    op.drop_table("form_slug")
    op.drop_column("form_version", "notes")
    op.drop_index("ix_mail_recipient", table_name="mail")
    op.drop_index("ix_form_deleted", table_name="form")
    op.drop_column("form", "purge_started_at")
