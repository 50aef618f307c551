"""The life of responses: resuming, history, review"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.isolation import protect
from db.types import JsonColumn, UTCDateTime

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TRASHED = sa.text("deleted_at IS NOT NULL AND status <> 'purged'")
_TABLES = ("bulk_run", "resume_token", "response_tag", "response_comment", "response_version")


def upgrade() -> None:
    for column in (
        sa.Column("revision", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("updated_at", UTCDateTime(), nullable=True),
        sa.Column("started_at", UTCDateTime(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("timings", JsonColumn, nullable=True),
        sa.Column("review", sa.String(), nullable=True),
        sa.Column("reviewed_by", sa.String(), nullable=True),
        sa.Column("reviewed_at", UTCDateTime(), nullable=True),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("deleted_by", sa.String(), nullable=True),
    ):
        op.add_column("response", column)
    op.create_index(
        "ix_response_trash",
        "response",
        ["tenant_id", "form_id", "deleted_at", "id"],
        sqlite_where=_TRASHED,
        postgresql_where=_TRASHED,
    )
    op.create_table(
        "response_version",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("form_version", sa.Integer(), nullable=False),
        sa.Column("answers", JsonColumn, nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", UTCDateTime(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        _of_response("response_version"),
        sa.PrimaryKeyConstraint("tenant_id", "response_id", "revision", name=op.f("pk_response_version")),
    )
    op.create_table(
        "response_comment",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("review", sa.String(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("edited_at", UTCDateTime(), nullable=True),
        _of_response("response_comment"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_response_comment")),
    )
    op.create_index("ix_response_comment_response", "response_comment", ["tenant_id", "response_id", "id"])
    op.create_table(
        "response_tag",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        _of_response("response_tag"),
        sa.PrimaryKeyConstraint("tenant_id", "response_id", "tag", name=op.f("pk_response_tag")),
    )
    op.create_index("ix_response_tag_form", "response_tag", ["tenant_id", "form_id", "tag", "response_id"])
    op.create_table(
        "resume_token",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("response_id", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=True),
        _of_response("resume_token"),
        sa.PrimaryKeyConstraint("tenant_id", "response_id", name=op.f("pk_resume_token")),
    )
    op.create_index("uq_resume_token_hash", "resume_token", ["tenant_id", "token_hash"], unique=True)
    op.create_index("ix_resume_token_expires", "resume_token", ["expires_at"])
    op.create_table(
        "bulk_run",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("after_id", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("tally", JsonColumn, nullable=False),
        sa.Column("errors", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "job_id", name=op.f("pk_bulk_run")),
    )
    for table in _TABLES:
        protect(table)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    op.drop_index("ix_response_trash", table_name="response")
    for column in (
        *("deleted_by", "assignee", "reviewed_at", "reviewed_by", "review", "timings", "seconds", "started_at"),
        *("updated_at", "revision"),
    ):
        op.drop_column("response", column)


def _of_response(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "response_id"],
        ["response.tenant_id", "response.id"],
        name=op.f(f"fk_{table}_response"),
        ondelete="CASCADE",
    )
