"""Live figures of forms"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0032"
down_revision: str | None = "0031"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = ("metric_state", "metric_count", "metric_part", "form_view", "view_handover")


def upgrade() -> None:
    op.create_table(
        "metric_state",
        *_of_form(),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("rules", sa.Integer(), nullable=False),
        sa.Column("is_shown", sa.Boolean(), nullable=False),
        sa.Column("sums", JsonColumn, nullable=False),
        sa.Column("current_at", UTCDateTime(), nullable=True),
        _form("metric_state"),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", "generation", name=op.f("pk_metric_state")),
    )
    op.create_table(
        "metric_count",
        *_of_form(),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("moment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        _form("metric_count"),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", "generation", "moment", "name", name=op.f("pk_metric_count")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metric_part",
        *_of_form(),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _form("metric_part"),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", "generation", "response_id", name=op.f("pk_metric_part")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "form_view",
        *_of_form(),
        sa.Column("moment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=False),
        _form("form_view"),
        sa.PrimaryKeyConstraint("tenant_id", "form_id", "moment", name=op.f("pk_form_view")),
    )
    op.create_table(
        "view_handover",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("edge", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("handed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_view_handover_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "edge", name=op.f("pk_view_handover")),
    )
    for table in _TABLES:
        protect(table)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _of_form() -> tuple[sa.Column[str], sa.Column[str]]:
    return sa.Column("tenant_id", sa.String(), nullable=False), sa.Column("form_id", sa.String(), nullable=False)


def _form(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "form_id"],
        ["form.tenant_id", "form.id"],
        name=op.f(f"fk_{table}_form"),
        ondelete="CASCADE",
    )
