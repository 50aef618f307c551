"""Vectors of answers"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect

revision: str = "0029"
down_revision: str | None = "0028"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "answer_vector",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "response_id"],
            ["response.tenant_id", "response.id"],
            name=op.f("fk_answer_vector_response"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "response_id", "field", name=op.f("pk_answer_vector")),
    )
    op.create_index("uq_answer_vector_number", "answer_vector", ["tenant_id", "form_id", "number"], unique=True)
    protect("answer_vector")


def downgrade() -> None:
    op.drop_table("answer_vector")
