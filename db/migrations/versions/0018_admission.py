"""Who may answer, and how often"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FORM = (["tenant_id", "form_id"], ["form.tenant_id", "form.id"])


def upgrade() -> None:
    op.add_column("response", sa.Column("suspicion", sa.String(), nullable=True))
    op.create_table(
        "response_claim",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(*_FORM, name=op.f("fk_response_claim_form"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", "kind", "value", name=op.f("pk_response_claim")),
    )
    op.create_index("ix_response_claim_response", "response_claim", ["tenant_id", "response_id"])
    protect("response_claim")
    op.create_table(
        "quota_counter",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("quota_id", sa.String(), nullable=False),
        sa.Column("responses", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(*_FORM, name=op.f("fk_quota_counter_form"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", "quota_id", name=op.f("pk_quota_counter")),
    )
    protect("quota_counter")
    op.create_table(
        "form_admission",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(*_FORM, name=op.f("fk_form_admission_form"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", name=op.f("pk_form_admission")),
    )
    protect("form_admission")


def downgrade() -> None:
    op.drop_table("form_admission")
    op.drop_table("quota_counter")
    op.drop_table("response_claim")
    op.drop_column("response", "suspicion")
