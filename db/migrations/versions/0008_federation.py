"""Federation"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "sso_connection",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("client_secret", sa.String(), nullable=False),
        sa.Column("scopes", JsonColumn, nullable=False),
        sa.Column("provisioning", JsonColumn, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("enforced", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_sso_connection_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_sso_connection")),
    )
    op.create_table(
        "sso_login",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("state_hash", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("browser_hash", sa.String(), nullable=False),
        sa.Column("return_to", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("answered_at", UTCDateTime(), nullable=True),
        sa.Column("code_hash", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["sso_connection.tenant_id", "sso_connection.id"],
            name=op.f("fk_sso_login_sso_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "state_hash", name=op.f("pk_sso_login")),
    )
    with op.batch_alter_table("sso_login", schema=None) as batch_op:
        batch_op.create_index("uq_sso_login_code", ["tenant_id", "code_hash"], unique=True)
        batch_op.create_index("ix_sso_login_connection", ["tenant_id", "connection_id"], unique=False)
        batch_op.create_index("ix_sso_login_expires", ["tenant_id", "expires_at"], unique=False)
    op.create_table(
        "user_identity",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("last_login_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["user_account.tenant_id", "user_account.id"],
            name=op.f("fk_user_identity_user_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["sso_connection.tenant_id", "sso_connection.id"],
            name=op.f("fk_user_identity_sso_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "issuer", "subject", name=op.f("pk_user_identity")),
    )
    with op.batch_alter_table("user_identity", schema=None) as batch_op:
        batch_op.create_index("uq_user_identity_user", ["tenant_id", "user_id", "issuer"], unique=True)
        batch_op.create_index("ix_user_identity_connection", ["tenant_id", "connection_id"], unique=False)
    for table in ("sso_connection", "sso_login", "user_identity"):
        protect(table)


def downgrade() -> None:
    op.drop_table("user_identity")
    op.drop_table("sso_login")
    op.drop_table("sso_connection")
