"""What a tenant replies with, and summaries of what was answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class Snippet(SQLModel, table=True):
    """A text of the tenant to reply with."""

    __tablename__ = "snippet"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    title: str
    text: str
    language: str | None = None
    tags: list[str] = document()
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()


class AnswerSummary(SQLModel, table=True):
    """What the answers to a field are about: `result` has numbers, phrases, and where quotes stand, not the quotes.

    `sees_personal`: it was ordered by somebody who gets to see personal data, and made with as much.
    """

    __tablename__ = "answer_summary"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_answer_summary_expires_at", "tenant_id", "expires_at"),
    )

    tenant_id: str = key()
    id: str = key()
    form_id: str
    field: str
    wanted: dict[str, Any] = document()
    sees_personal: bool
    job_id: str
    result: dict[str, Any] | None = document(default=None)
    requested_by: str
    created_at: datetime = moment()
    finished_at: datetime | None = moment(default=None)
    expires_at: datetime = moment()
