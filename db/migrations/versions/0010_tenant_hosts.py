"""Host names of tenants"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "tenant_host",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_tenant_host_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "host", name=op.f("pk_tenant_host")),
    )
    with op.batch_alter_table("tenant_host", schema=None) as batch_op:
        batch_op.create_index("uq_tenant_host_host", ["host"], unique=True)
    protect("tenant_host")


def downgrade() -> None:
    op.drop_table("tenant_host")
