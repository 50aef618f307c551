"""The number of each response's last change, in the order in which a form's changes were committed"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import is_postgres
from db.roles import SYSTEM_ROLE

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NUMBER_RESPONSES = """UPDATE response SET change = numbered.place
    FROM (SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id, form_id ORDER BY submitted_at, id) AS place
        FROM response) AS numbered
    WHERE response.tenant_id = numbered.tenant_id AND response.id = numbered.id"""
_NUMBER_FORMS = """UPDATE form_counter SET changes = (SELECT count(*) FROM response
    WHERE response.tenant_id = form_counter.tenant_id AND response.form_id = form_counter.form_id)"""


def upgrade() -> None:
    op.add_column("form_counter", sa.Column("changes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("response", sa.Column("change", sa.BigInteger(), nullable=False, server_default="0"))
    if is_postgres():
        op.execute(f"SET LOCAL ROLE {SYSTEM_ROLE}")  # Row-level security is forced on the owner, too.
    op.execute(_NUMBER_RESPONSES)
    op.execute(_NUMBER_FORMS)
    if is_postgres():
        op.execute("RESET ROLE")
    op.create_index("ix_response_change", "response", ["tenant_id", "form_id", "change"])


def downgrade() -> None:
    op.drop_index("ix_response_change", table_name="response")
    op.drop_column("response", "change")
    op.drop_column("form_counter", "changes")
