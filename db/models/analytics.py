"""What is kept about figures."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import SQLModel

from db.models.columns import belongs_to, document, key, moment


class SavedQuery(SQLModel, table=True):
    """A question to a form's responses that is kept under a name; goes with the form."""

    __tablename__ = "saved_query"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("uq_saved_query_name", "tenant_id", "name", unique=True),
        Index("ix_saved_query_form", "tenant_id", "form_id"),
    )

    tenant_id: str = key()
    id: str = key()
    form_id: str
    name: str
    description: str
    query: dict[str, Any] = document()
    owner: str
    created_at: datetime = moment()
    updated_at: datetime = moment()
