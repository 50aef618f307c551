"""The audit trail"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import is_postgres, protect
from db.types import UTCDateTime

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_REFUSAL = "audit entries are never changed"
# Erasing a tenant that was deleted is the one reason to lose its entries (T7).
_KEPT = "NOT EXISTS (SELECT 1 FROM tenant WHERE id = OLD.tenant_id AND status = 'deleted')"


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("details", sa.String(), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sequence", name=op.f("pk_audit_entry")),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index("ix_audit_entry_actor", ["tenant_id", "actor", "sequence"], unique=False)
        batch_op.create_index("ix_audit_entry_entity", ["tenant_id", "entity_id", "sequence"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_head")),
    )
    protect("audit_entry", rights="SELECT, INSERT, DELETE")
    protect("audit_head")
    if is_postgres():
        op.execute(
            f"""CREATE FUNCTION audit_entry_is_final() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'UPDATE' OR {_KEPT} THEN RAISE EXCEPTION '{_REFUSAL}'; END IF;
                RETURN OLD;
            END $$"""
        )
        op.execute(
            "CREATE TRIGGER audit_entry_is_final BEFORE UPDATE OR DELETE ON audit_entry"
            " FOR EACH ROW EXECUTE FUNCTION audit_entry_is_final()"
        )
    else:
        refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        op.execute(f"CREATE TRIGGER audit_entry_is_not_updated BEFORE UPDATE ON audit_entry {refuse}")
        op.execute(f"CREATE TRIGGER audit_entry_is_not_deleted BEFORE DELETE ON audit_entry WHEN {_KEPT} {refuse}")


def downgrade() -> None:
    op.drop_table("audit_head")
    op.drop_table("audit_entry")
    if is_postgres():
        op.execute("DROP FUNCTION audit_entry_is_final()")
