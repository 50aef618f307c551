"""Reports: documents that were made of a form's responses."""

from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from db.models.columns import belongs_to, document
from db.models.made_files import MadeFile


class Report(MadeFile, table=True):
    """A report on a form's responses. `delivery` says to whom it is mailed, of one that a schedule ordered."""

    __tablename__ = "report"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_report_form", "tenant_id", "form_id", "id"),
        Index("ix_report_expires", "expires_at"),
    )

    life_days: int
    delivery: dict[str, Any] | None = document(default=None)
    schedule_id: str | None = None
    title: str = ""
    responses: int = Field(default=0, sa_type=BigInteger)
