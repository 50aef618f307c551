"""Sessions that began with a provider's login"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import UTCDateTime

revision: str = "0036"
down_revision: str | None = "0035"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "sso_session",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("family_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["user_account.tenant_id", "user_account.id"],
            name=op.f("fk_sso_session_user_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["sso_connection.tenant_id", "sso_connection.id"],
            name=op.f("fk_sso_session_sso_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "family_id", name=op.f("pk_sso_session")),
    )
    with op.batch_alter_table("sso_session", schema=None) as batch_op:
        batch_op.create_index("ix_sso_session_user", ["tenant_id", "user_id"], unique=False)
        batch_op.create_index("ix_sso_session_connection", ["tenant_id", "connection_id"], unique=False)
        batch_op.create_index("ix_sso_session_expires", ["expires_at"], unique=False)
    protect("sso_session")


def downgrade() -> None:
    op.drop_table("sso_session")
