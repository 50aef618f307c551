"""Links in mails about accounts, invitations, and which e-mail addresses are verified"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import UTCDateTime

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "link_token",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["user_account.tenant_id", "user_account.id"],
            name=op.f("fk_link_token_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_link_token")),
    )
    with op.batch_alter_table("link_token", schema=None) as batch_op:
        batch_op.create_index("uq_link_token_hash", ["token_hash"], unique=True)
        batch_op.create_index("ix_link_token_user", ["tenant_id", "user_id"], unique=False)
        batch_op.create_index("ix_link_token_expires", ["expires_at"], unique=False)
    protect("link_token")
    op.create_table(
        "invitation",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=True),
        sa.Column("form_role", sa.String(), nullable=True),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("invited_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"],
            ["form.tenant_id", "form.id"],
            name=op.f("fk_invitation_form"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_invitation_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_invitation")),
    )
    to_tenant, to_form = sa.text("form_id IS NULL"), sa.text("form_id IS NOT NULL")
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.create_index("uq_invitation_hash", ["token_hash"], unique=True)
        batch_op.create_index(
            "uq_invitation_email",
            ["tenant_id", "email"],
            unique=True,
            sqlite_where=to_tenant,
            postgresql_where=to_tenant,
        )
        batch_op.create_index(
            "uq_invitation_form",
            ["tenant_id", "form_id", "email"],
            unique=True,
            sqlite_where=to_form,
            postgresql_where=to_form,
        )
        batch_op.create_index("ix_invitation_expires", ["expires_at"], unique=False)
    protect("invitation")
    op.create_index("ix_refresh_token_expires", "refresh_token", ["expires_at"], unique=False)
    op.add_column("user_account", sa.Column("email_verified_at", UTCDateTime(), nullable=True))


def downgrade() -> None:
    # Not as a batch: on SQLite that drops and remakes the table, and what refers to it goes with it.
    op.drop_column("user_account", "email_verified_at")
    op.drop_index("ix_refresh_token_expires", "refresh_token")
    op.drop_table("invitation")
    op.drop_table("link_token")
