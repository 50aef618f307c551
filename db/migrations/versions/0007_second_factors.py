"""Second factors"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import UTCDateTime

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _of_a_person(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "user_id"],
        ["user_account.tenant_id", "user_account.id"],
        name=op.f(f"fk_{table}_user_account"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("phone", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("phone_verified_at", UTCDateTime(), nullable=True))
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.add_column(sa.Column("amr", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "second_factor",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("confirmed_at", UTCDateTime(), nullable=True),
        _of_a_person("second_factor"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "kind", name=op.f("pk_second_factor")),
    )
    protect("second_factor")
    op.create_table(
        "recovery_code",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        _of_a_person("recovery_code"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "code_hash", name=op.f("pk_recovery_code")),
    )
    protect("recovery_code")
    op.create_table(
        "challenge",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("target", sa.String(), nullable=True),
        sa.Column("proof", sa.String(), nullable=True),
        sa.Column("amr", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=True),
        _of_a_person("challenge"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_challenge")),
    )
    with op.batch_alter_table("challenge", schema=None) as batch_op:
        batch_op.create_index("uq_challenge_token", ["token_hash"], unique=True)
        batch_op.create_index("ix_challenge_account", ["tenant_id", "account"], unique=False)
        batch_op.create_index("ix_challenge_expires", ["expires_at"], unique=False)
    protect("challenge")


def downgrade() -> None:
    op.drop_table("challenge")
    op.drop_table("recovery_code")
    op.drop_table("second_factor")
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.drop_column("amr")
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.drop_column("phone_verified_at")
        batch_op.drop_column("phone")
