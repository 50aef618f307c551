"""Imports of another backend's database: the runs, and what became of each document."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class LegacyRun(SQLModel, table=True):
    """A dump that is brought in. `status`: running, done, rolling_back or rolled_back.

    `dump` is the checksum of its files and `source` the folder or file that they were read from. `options` are those
    it was started with, which hold until its end. `made_tenant`: the tenant came with it. `report` is what it came to.
    """

    __tablename__ = "legacy_run"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    source: str
    dump: str
    options: dict[str, Any] = document()
    status: str
    made_tenant: bool = False
    report: dict[str, Any] = document()
    started_at: datetime = moment()
    ended_at: datetime | None = moment(default=None)


class LegacyDocument(SQLModel, table=True):
    """A document of a dump, known by its collection and id: importing it again adds nothing.

    `place` is where it stands, `sha256` the checksum of what it says. `outcome`: made, linked (it stands for what is
    there already), skipped, refused, or kept (a rollback left it, because it was changed since). `stored` is the
    checksum of what became of it, `new_id` its id; a version of a form has the id of the form and its number. `notes`
    are pointers with codes; `extra` is what has no place elsewhere.
    """

    __tablename__ = "legacy_document"
    __table_args__ = (
        belongs_to("legacy_run", "run_id"),
        Index("ix_legacy_document_made", "tenant_id", "form_id", "new_id"),
    )

    tenant_id: str = key()
    collection: str = key()
    source_id: str = key()
    run_id: str
    place: str
    sha256: str
    outcome: str
    form_id: str | None = None
    new_id: str | None = None
    stored: str | None = None
    notes: list[list[str]] | None = document(default=None)
    extra: dict[str, Any] | None = document(default=None)
