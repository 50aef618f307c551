"""Forms: the draft that is edited and the versions that were published."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class Form(SQLModel, table=True):
    """A form with its draft definition. `revision` counts changes, for optimistic concurrency.

    With `deleted_at` it is in the trash; with `purge_started_at` its rows are being deleted and nothing brings it back.
    `inferred` are the kinds of verdicts that its responses have had, as pairs of field and name, oldest first: they are
    columns of its table, and none is ever removed.
    """

    __tablename__ = "form"
    __table_args__ = (
        Index(
            "uq_form_slug",
            "tenant_id",
            "slug",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_form_deleted",
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    slug: str
    title: str
    status: str = "draft"
    definition: dict[str, Any] = document()
    settings: dict[str, Any] = document()
    published_version: int | None = None
    revision: int = 1
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)
    purge_started_at: datetime | None = moment(default=None)
    inferred: list[list[str]] | None = document(default=None)


class FormSlug(SQLModel, table=True):
    """A slug that a form had before: links with it still lead there, until another form takes it."""

    __tablename__ = "form_slug"
    __table_args__ = (belongs_to("form", "form_id"), Index("ix_form_slug_form", "tenant_id", "form_id"))

    tenant_id: str = key()
    slug: str = key()
    form_id: str
    left_at: datetime = moment()


class FormVersion(SQLModel, table=True):
    """A published definition: written once, never changed (F4)."""

    __tablename__ = "form_version"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    version: int = key()
    title: str
    definition: dict[str, Any] = document()
    published_by: str
    published_at: datetime = moment()
    notes: str | None = None


class FormCounter(SQLModel, table=True):
    """How many responses a form holds, and how often they have changed.

    The row makes limits exact under concurrency (R9). Who changes a response holds it until the commit, so the numbers
    that `changes` gives out become visible in their order.
    """

    __tablename__ = "form_counter"
    __table_args__ = (belongs_to("form", "form_id"),)

    tenant_id: str = key()
    form_id: str = key()
    responses: int = 0
    changes: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class FormTemplate(SQLModel, table=True):
    """A form to begin with, kept by a tenant."""

    __tablename__ = "form_template"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    title: str
    description: str
    definition: dict[str, Any] = document()
    settings: dict[str, Any] = document()
    created_by: str
    created_at: datetime = moment()
