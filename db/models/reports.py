"""Reports: documents that were made of a form's responses."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class Report(SQLModel, table=True):
    """A report on a form's responses, made by a job. `file` is its key in the object store when it is finished.

    `sees_personal`: it may quote personal answers, since who ordered it sees them. `delivery` says to whom it
    is mailed, of one that a schedule ordered.
    """

    __tablename__ = "report"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_report_form", "tenant_id", "form_id", "id"),
        Index("ix_report_expires", "expires_at"),
    )

    tenant_id: str = key()
    id: str = key()
    form_id: str
    wanted: dict[str, Any] = document()
    sees_personal: bool
    life_days: int
    delivery: dict[str, Any] | None = document(default=None)
    schedule_id: str | None = None
    job_id: str
    requested_by: str
    created_at: datetime = moment()
    finished_at: datetime | None = moment(default=None)
    expires_at: datetime = moment()
    title: str = ""
    responses: int = Field(default=0, sa_type=BigInteger)
    file: str | None = None
    sha256: str = ""
    bytes: int = Field(default=0, sa_type=BigInteger)
