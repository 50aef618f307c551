"""What models said about responses"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0028"
down_revision: str | None = "0027"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = ("enrichment_task", "enrichment_turn", "verdict")


def upgrade() -> None:
    # Not in a batch: SQLite would rebuild the tables, and the trigger of responses would be gone.
    op.add_column("response", sa.Column("inference", JsonColumn, nullable=True))
    op.add_column("form", sa.Column("inferred", JsonColumn, nullable=True))
    op.create_table(
        "enrichment_task",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        _of_response("enrichment_task"),
        sa.PrimaryKeyConstraint("tenant_id", "response_id", name=op.f("pk_enrichment_task")),
    )
    op.create_index("ix_enrichment_task_form", "enrichment_task", ["tenant_id", "form_id", "response_id"])
    op.create_table(
        "enrichment_turn",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_enrichment_turn_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_enrichment_turn")),
    )
    op.create_table(
        "verdict",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("result", JsonColumn, nullable=False),
        sa.Column("made_at", UTCDateTime(), nullable=False),
        _of_response("verdict"),
        sa.PrimaryKeyConstraint(
            "tenant_id", "response_id", "field", "name", "revision", "model", name=op.f("pk_verdict")
        ),
    )
    op.create_index("ix_verdict_form", "verdict", ["tenant_id", "form_id", "field", "name", "model"])
    for table in _TABLES:
        protect(table)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.drop_column("form", "inferred")
    op.drop_column("response", "inference")


def _of_response(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "response_id"],
        ["response.tenant_id", "response.id"],
        name=op.f(f"fk_{table}_response"),
        ondelete="CASCADE",
    )
