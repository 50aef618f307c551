"""The tenant's life cycle"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.types import UTCDateTime

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("tenant", sa.Column("deleted_at", UTCDateTime(), nullable=True))
    op.add_column("tenant", sa.Column("erase_after", UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("tenant", "erase_after")
    op.drop_column("tenant", "deleted_at")
