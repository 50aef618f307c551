"""A person's data, erased with a receipt"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = ("person_erasure", "person_trace", "address_count", "captcha_provider", "captcha_pass")


def upgrade() -> None:
    op.create_table(
        "captcha_pass",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("call", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name=op.f("pk_captcha_pass")),
    )
    op.create_index("ix_captcha_pass_expires", "captcha_pass", ["expires_at"])
    op.create_table(
        "person_erasure",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("form_ids", JsonColumn, nullable=True),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("position", JsonColumn, nullable=False),
        sa.Column("forms", JsonColumn, nullable=False),
        sa.Column("places", JsonColumn, nullable=False),
        sa.Column("kept", JsonColumn, nullable=False),
        sa.Column("last_message", sa.BigInteger(), nullable=True),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_person_erasure")),
    )
    op.create_index("ix_person_erasure_digest", "person_erasure", ["tenant_id", "digest"])
    op.create_table(
        "captcha_provider",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("site_key", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("verify_url", sa.String(), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_captcha_provider_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_captcha_provider")),
    )
    op.create_table(
        "person_trace",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("erasure_id", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "erasure_id"],
            ["person_erasure.tenant_id", "person_erasure.id"],
            name=op.f("fk_person_trace_person_erasure"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "erasure_id", "entity_id", name=op.f("pk_person_trace")),
    )
    op.create_index(
        "ix_person_trace_form", "person_trace", ["tenant_id", "erasure_id", "kind", "erased", "form_id", "entity_id"]
    )
    op.create_table(
        "address_count",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("responses", sa.Integer(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"],
            ["form.tenant_id", "form.id"],
            name=op.f("fk_address_count_form"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", "caller", name=op.f("pk_address_count")),
    )
    op.create_index("ix_address_count_expires", "address_count", ["expires_at"])
    for table in _TABLES:
        protect(table)


def downgrade() -> None:
    for table in ("person_trace", "person_erasure", "address_count", "captcha_provider", "captcha_pass"):
        op.drop_table(table)
