"""What is not published yet, tenant by tenant; mails by their age"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_UNPUBLISHED = sa.text("published_at IS NULL")


def upgrade() -> None:
    _index("tenant_id", "id")
    op.create_index("ix_mail_created_at", "mail", ["created_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_mail_created_at", table_name="mail")
    _index("id")


def _index(*columns: str) -> None:
    op.drop_index("ix_event_unpublished", table_name="event")
    op.create_index(
        "ix_event_unpublished",
        "event",
        list(columns),
        unique=False,
        sqlite_where=_UNPUBLISHED,
        postgresql_where=_UNPUBLISHED,
    )
