"""What tenants say by mail, and to whom no more"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_ADDED = ("mailing_id", "response_id", "name", "language", "prefill", "attempts", "tried_at", "due_at")


def upgrade() -> None:
    op.create_table(
        "mailing",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("email_field", sa.String(), nullable=True),
        sa.Column("selection", JsonColumn, nullable=True),
        sa.Column("cursor", sa.String(), nullable=True),
        sa.Column("gathered", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("cancelled_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"],
            ["form.tenant_id", "form.id"],
            name=op.f("fk_mailing_form"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_mailing")),
    )
    with op.batch_alter_table("mailing", schema=None) as batch_op:
        batch_op.create_index("ix_mailing_form", ["tenant_id", "form_id", "id"], unique=False)
    protect("mailing")
    _own(
        "mail_template",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("html", sa.String(), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        key=("tenant_id", "name", "language"),
    )
    _own(
        "mail_branding",
        sa.Column("sender_name", sa.String(), nullable=False),
        sa.Column("reply_to", sa.String(), nullable=True),
        sa.Column("logo_url", sa.String(), nullable=True),
        sa.Column("colour", sa.String(), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        key=("tenant_id",),
    )
    _own(
        "mail_suppression",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        key=("tenant_id", "id"),
    )
    with op.batch_alter_table("mail_suppression", schema=None) as batch_op:
        batch_op.create_index("uq_mail_suppression_address", ["tenant_id", "address"], unique=True)
    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.add_column(sa.Column("mailing_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("response_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("name", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("language", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("prefill", JsonColumn, nullable=True))
        batch_op.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("tried_at", UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("due_at", UTCDateTime(), nullable=True))
        batch_op.create_index("ix_mail_mailing", ["tenant_id", "mailing_id", "state", "id"], unique=False)
        batch_op.create_index("ix_mail_tried", ["tenant_id", "tried_at"], unique=False)
        batch_op.create_foreign_key(
            op.f("fk_mail_mailing"), "mailing", ["tenant_id", "mailing_id"], ["tenant_id", "id"], ondelete="CASCADE"
        )


def downgrade() -> None:
    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_mail_mailing"), type_="foreignkey")
        batch_op.drop_index("ix_mail_tried")
        batch_op.drop_index("ix_mail_mailing")
        for name in reversed(_ADDED):
            batch_op.drop_column(name)
    for table in ("mail_suppression", "mail_branding", "mail_template", "mailing"):
        op.drop_table(table)


def _own(name: str, *columns: "sa.Column[object]", key: tuple[str, ...]) -> None:
    """A table that goes with its tenant."""
    op.create_table(
        name,
        sa.Column("tenant_id", sa.String(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f(f"fk_{name}_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
    )
    protect(name)
