"""Responses, and the keys that make submitting one idempotent."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment

IN_TRASH = text("response.deleted_at IS NOT NULL AND response.status <> 'purged'")
"""Spelled out, because a partial index is only used for a condition that the planner can read."""

_TRASHED = text("deleted_at IS NOT NULL AND status <> 'purged'")


class Response(SQLModel, table=True):
    """One person's answers to one version of a form. `change` numbers the change of the form that last touched it.

    `status` is complete, partial, or purged: then the row is what is left of a response to tell that it is gone.
    `revision` counts the versions of the answers, from 1. `seconds` lie between the start and the submission, and
    `timings` are milliseconds by page id; both are null where nobody measured. `inference` is what models say of the
    answers as they are, by field and then by name: the latest of the rows in `verdict`.
    """

    __tablename__ = "response"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_response_submitted", "tenant_id", "form_id", "submitted_at", "id"),
        Index("ix_response_change", "tenant_id", "form_id", "change"),
        Index(
            "ix_response_trash",
            "tenant_id",
            "form_id",
            "deleted_at",
            "id",
            sqlite_where=_TRASHED,
            postgresql_where=_TRASHED,
        ),
    )

    tenant_id: str = key()
    id: str = key()
    form_id: str
    version: int
    status: str
    answers: dict[str, Any] = document()
    meta: dict[str, Any] = document()
    submitted_by: str
    submitted_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)
    suspicion: str | None = None
    change: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    # No default of SQLAlchemy's: the statement that stores submissions must not carry the column.
    revision: int = Field(default=1, sa_column_kwargs={"default": None, "server_default": "1"})
    updated_at: datetime | None = moment(default=None)
    started_at: datetime | None = moment(default=None)
    seconds: float | None = None
    timings: dict[str, int] | None = document(default=None)
    review: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = moment(default=None)
    assignee: str | None = None
    deleted_by: str | None = None
    inference: dict[str, Any] | None = document(default=None)


class IdempotencyKey(SQLModel, table=True):
    """The answer given under a client's key; written in the transaction of the change it guards."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_created", "created_at"),)

    tenant_id: str = key()
    scope: str = key()
    key: str = key()
    fingerprint: str
    result: dict[str, Any] = document()
    created_at: datetime = moment()
