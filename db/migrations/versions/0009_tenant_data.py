"""Tenant data"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import is_postgres, protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_REFUSAL = "audit entries are never changed"
_DELETED = "SELECT 1 FROM tenant WHERE id = OLD.tenant_id AND status = 'deleted'"
# Times are fixed-width text on SQLite; its clock has milliseconds, so the comparison errs on the side of keeping.
_PAST_GRACE = {"postgresql": "erase_after <= now()", "sqlite": "erase_after <= strftime('%Y-%m-%dT%H:%M:%f', 'now')"}


def upgrade() -> None:
    op.add_column("tenant", sa.Column("erased_at", UTCDateTime(), nullable=True))
    op.create_table(
        "tenant_export",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_tenant_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("expires_at", UTCDateTime(), nullable=True),
        sa.Column("file", sa.String(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_tenant_export_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_tenant_export")),
    )
    op.create_table(
        "tenant_export_part",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("export_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("last_key", JsonColumn, nullable=False),
        sa.Column("is_last", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "export_id"],
            ["tenant_export.tenant_id", "tenant_export.id"],
            name=op.f("fk_tenant_export_part_tenant_export"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "export_id", "source", "number", name=op.f("pk_tenant_export_part")),
    )
    op.create_table(
        "erasure_receipt",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("erased_tenant_id", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("rows", JsonColumn, nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("audit_sequence", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "erased_tenant_id", name=op.f("pk_erasure_receipt")),
    )
    op.create_table(
        "stored_object",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "file", name=op.f("pk_stored_object")),
    )
    op.create_table(
        "quota_notice",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("quota", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "quota", "day", name=op.f("pk_quota_notice")),
    )
    for table in ("tenant_export", "tenant_export_part", "erasure_receipt", "stored_object", "quota_notice"):
        protect(table)
    _let_audit_entries_go(f"{_DELETED} AND {_PAST_GRACE['postgresql' if is_postgres() else 'sqlite']}")


def downgrade() -> None:
    _let_audit_entries_go(_DELETED)
    for table in ("quota_notice", "stored_object", "erasure_receipt", "tenant_export_part", "tenant_export"):
        op.drop_table(table)
    op.drop_column("tenant", "erased_at")


def _let_audit_entries_go(when: str) -> None:
    """Entries may be deleted when there is such a tenant, and never be updated."""
    if is_postgres():
        op.execute(
            f"""CREATE OR REPLACE FUNCTION audit_entry_is_final() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'UPDATE' OR NOT EXISTS ({when}) THEN RAISE EXCEPTION '{_REFUSAL}'; END IF;
                RETURN OLD;
            END $$"""
        )
        return
    op.execute("DROP TRIGGER audit_entry_is_not_deleted")
    op.execute(
        f"CREATE TRIGGER audit_entry_is_not_deleted BEFORE DELETE ON audit_entry WHEN NOT EXISTS ({when})"
        f" BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    )
