"""One-time links in mails, of which only the hash is kept."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from db.models.columns import belongs_to, key, moment


class LinkToken(SQLModel, table=True):
    """What a link in a mail to `email` lets its holder do once, until `expires_at`."""

    __tablename__ = "link_token"
    __table_args__ = (
        belongs_to("user_account", "user_id"),
        Index("uq_link_token_hash", "token_hash", unique=True),
        Index("ix_link_token_user", "tenant_id", "user_id"),
        Index("ix_link_token_expires", "expires_at"),
    )

    tenant_id: str = key()
    id: str = key()
    user_id: str
    purpose: str
    email: str
    token_hash: str
    created_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = moment(default=None)
