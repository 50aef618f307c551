"""Answers that can be searched"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "answer_index",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("rules", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "form_id"],
            ["form.tenant_id", "form.id"],
            name=op.f("fk_answer_index_form"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", name=op.f("pk_answer_index")),
    )
    op.create_table(
        "answer_entry",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("series", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), autoincrement=False, nullable=False
        ),
        sa.Column("moment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "response_id"],
            ["response.tenant_id", "response.id"],
            name=op.f("fk_answer_entry_response"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "series", "value", "moment", "response_id", name=op.f("pk_answer_entry")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_answer_entry_response", "answer_entry", ["tenant_id", "response_id"])
    protect("answer_index")
    protect("answer_entry")


def downgrade() -> None:
    op.drop_table("answer_entry")
    op.drop_table("answer_index")
