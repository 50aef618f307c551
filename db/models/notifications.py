"""Mail that was asked for, and what became of it."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from db.models.columns import key, moment


class Mail(SQLModel, table=True):
    """One mail to one recipient; unique per cause, so a redelivered event never mails twice."""

    __tablename__ = "mail"
    __table_args__ = (
        Index("uq_mail_cause", "tenant_id", "cause", "recipient", unique=True),
        Index("ix_mail_recipient", "tenant_id", "recipient", "created_at"),
    )

    tenant_id: str = key()
    id: str = key()
    template: str
    cause: str
    recipient: str
    subject: str
    state: str = "queued"
    error: str | None = None
    created_at: datetime = moment()
    sent_at: datetime | None = moment(default=None)
