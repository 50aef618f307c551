"""Mail that was asked for, what became of it, how a tenant words it, and to whom it goes no more."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class Mail(SQLModel, table=True):
    """One mail to one recipient; unique per cause, so a redelivered event never mails twice.

    Those of a mailing are sent one after the other: `tried_at` is when the latest attempt began, `due_at` when the next
    one may.
    """

    __tablename__ = "mail"
    __table_args__ = (
        belongs_to("mailing", "mailing_id"),
        Index("uq_mail_cause", "tenant_id", "cause", "recipient", unique=True),
        Index("ix_mail_recipient", "tenant_id", "recipient", "created_at"),
        Index("ix_mail_mailing", "tenant_id", "mailing_id", "state", "id"),
        Index("ix_mail_tried", "tenant_id", "tried_at"),
        Index("ix_mail_created_at", "created_at"),
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
    mailing_id: str | None = None
    response_id: str | None = None
    name: str = Field(default="", sa_column_kwargs={"server_default": ""})
    language: str = Field(default="", sa_column_kwargs={"server_default": ""})
    prefill: dict[str, str] | None = document(default=None)
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    tried_at: datetime | None = moment(default=None)
    due_at: datetime | None = moment(default=None)


class Mailing(SQLModel, table=True):
    """A mail to many people about one form.

    Recipients are the rows of `mail`, or are gathered from responses: `selection` says from which, `cursor` how far
    that is. `failures` counts the attempts in a row that came to no end.
    """

    __tablename__ = "mailing"
    __table_args__ = (belongs_to("form", "form_id"), Index("ix_mailing_form", "tenant_id", "form_id", "id"))

    tenant_id: str = key()
    id: str = key()
    form_id: str
    template: str
    email_field: str | None = None
    selection: dict[str, Any] | None = document(default=None)
    cursor: str | None = None
    gathered: bool
    job_id: str = ""
    failures: int = 0
    created_by: str
    created_at: datetime = moment()
    cancelled_at: datetime | None = moment(default=None)


class MailTemplate(SQLModel, table=True):
    """A tenant's own words for a mail; an empty language stands for every one. Without `html`, `text` stands for it."""

    __tablename__ = "mail_template"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    name: str = key()
    language: str = key()
    subject: str
    text: str
    html: str | None = None
    updated_at: datetime = moment()
    updated_by: str


class MailBranding(SQLModel, table=True):
    """How a tenant's mails present themselves."""

    __tablename__ = "mail_branding"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    sender_name: str = ""
    reply_to: str | None = None
    logo_url: str | None = None
    colour: str | None = None
    updated_at: datetime = moment()


class MailSuppression(SQLModel, table=True):
    """An address that gets no more mail of a tenant but what is about its account."""

    __tablename__ = "mail_suppression"
    __table_args__ = (Index("uq_mail_suppression_address", "tenant_id", "address", unique=True),)

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    address: str
    reason: str
    detail: str = ""
    created_by: str
    created_at: datetime = moment()
