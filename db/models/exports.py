"""Files that were made of responses: exports that somebody ordered, and the lake."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment
from db.models.made_files import MadeFile


class ResponseExport(MadeFile, table=True):
    """An export of a form's responses."""

    __tablename__ = "response_export"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("ix_response_export_form", "tenant_id", "form_id", "id"),
        Index("ix_response_export_expires", "expires_at"),
    )

    format: str
    rows: int = Field(default=0, sa_type=BigInteger)


class LakeTable(SQLModel, table=True):
    """A form's table in the lake: its `files`, which hold every change up to `change`. `number` counts the manifests.

    `pending` is how far the next one has come: the files of the months that are done already.
    """

    __tablename__ = "lake_table"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    number: int
    change: int = Field(sa_type=BigInteger)
    version: int
    columns: list[dict[str, Any]] = document()
    files: list[dict[str, Any]] = document()
    pending: dict[str, Any] | None = document(default=None)
    updated_at: datetime = moment()
