"""Grants per form."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from db.models.columns import belongs_to, key, moment


class FormGrant(SQLModel, table=True):
    """What one person may do with one form, beyond what their role allows in the whole tenant."""

    __tablename__ = "form_grant"
    __table_args__ = (
        belongs_to("form", "form_id"),
        belongs_to("user_account", "user_id"),
        Index("ix_form_grant_user", "tenant_id", "user_id"),
    )

    tenant_id: str = key()
    form_id: str = key()
    user_id: str = key()
    role: str
    granted_by: str
    created_at: datetime = moment()
