"""What happens to a response after it was begun: versions of its answers, comments, tags, resuming, work on many."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import SQLModel

from db.models.columns import belongs_to, document, key, moment


class ResponseVersion(SQLModel, table=True):
    """The answers as somebody left them. A response that was never edited has none: it is its own first version."""

    __tablename__ = "response_version"
    __table_args__ = (belongs_to("response", "response_id"),)

    tenant_id: str = key()
    response_id: str = key()
    revision: int = key()
    form_version: int
    answers: dict[str, Any] = document()
    made_by: str
    made_at: datetime = moment()
    reason: str | None = None


class ResponseComment(SQLModel, table=True):
    """What somebody said about a response. With a `review` it is the remark of that decision."""

    __tablename__ = "response_comment"
    __table_args__ = (
        belongs_to("response", "response_id"),
        Index("ix_response_comment_response", "tenant_id", "response_id", "id"),
    )

    tenant_id: str = key()
    id: str = key()
    response_id: str
    author: str
    text: str
    review: str | None = None
    created_at: datetime = moment()
    edited_at: datetime | None = moment(default=None)


class ResponseTag(SQLModel, table=True):
    """A word that marks a response. `form_id` is that of the response."""

    __tablename__ = "response_tag"
    __table_args__ = (
        belongs_to("response", "response_id"),
        Index("ix_response_tag_form", "tenant_id", "form_id", "tag", "response_id"),
    )

    tenant_id: str = key()
    response_id: str = key()
    tag: str = key()
    form_id: str


class ResumeToken(SQLModel, table=True):
    """What lets its holder go on with a partial response until `expires_at`; only the token's hash is kept.

    After the completion `fingerprint` is that of the call which completed it, so that its repetition is recognised.
    """

    __tablename__ = "resume_token"
    __table_args__ = (
        belongs_to("response", "response_id"),
        Index("uq_resume_token_hash", "tenant_id", "token_hash", unique=True),
        Index("ix_resume_token_expires", "expires_at"),
    )

    tenant_id: str = key()
    response_id: str = key()
    token_hash: str
    expires_at: datetime = moment()
    fingerprint: str | None = None


class BulkRun(SQLModel, table=True):
    """How far a job has come that changes many things: written with the changes, so a new attempt goes on there."""

    __tablename__ = "bulk_run"

    tenant_id: str = key()
    job_id: str = key()
    after_id: str = ""
    total: int
    tally: dict[str, int] = document()
    errors: list[dict[str, Any]] = document()
