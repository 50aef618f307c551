"""Invitations that nobody has accepted yet."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, key, moment

_TO_TENANT = text("form_id IS NULL")
_TO_FORM = text("form_id IS NOT NULL")


class Invitation(SQLModel, table=True):
    """An offer of `role` in the tenant, or as a guest of `form_role` for one form; the row goes when it is accepted.

    Only the hash of the token in the mail is kept.
    """

    __tablename__ = "invitation"
    __table_args__ = (
        belongs_to("form", "form_id"),
        Index("uq_invitation_hash", "token_hash", unique=True),
        Index(
            "uq_invitation_email",
            "tenant_id",
            "email",
            unique=True,
            sqlite_where=_TO_TENANT,
            postgresql_where=_TO_TENANT,
        ),
        Index(
            "uq_invitation_form",
            "tenant_id",
            "form_id",
            "email",
            unique=True,
            sqlite_where=_TO_FORM,
            postgresql_where=_TO_FORM,
        ),
        Index("ix_invitation_expires", "expires_at"),
    )

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    email: str
    name: str
    role: str
    form_id: str | None = None
    form_role: str | None = None
    token_hash: str
    invited_by: str
    created_at: datetime = moment()
    expires_at: datetime = moment()
