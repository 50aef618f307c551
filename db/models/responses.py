"""Responses, and the keys that make submitting one idempotent."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class Response(SQLModel, table=True):
    """One person's answers to one version of a form. `change` numbers the change of the form that last touched it."""

    __tablename__ = "response"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_response_submitted", "tenant_id", "form_id", "submitted_at", "id"),
        Index("ix_response_change", "tenant_id", "form_id", "change"),
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
