"""Erasing one person: how far it is, whom it has found, and the proof that stays."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment, sealed


class PersonErasure(SQLModel, table=True):
    """The erasure of one person's data, or with `dry_run` only the search for it.

    `digest` stands for the person without telling who it is; `sealed` is who it is, encrypted, and empty from the end
    on. `step` and `position` say where the job goes on. `places` counts what was erased, `kept` what stays, by place.
    `last_message` is the end of the event stream at the moment when nothing of the person could come to it any more.
    """

    __tablename__ = "person_erasure"
    __table_args__ = (Index("ix_person_erasure_digest", "tenant_id", "digest"),)

    tenant_id: str = key()
    id: str = key()
    kind: str
    digest: str
    sealed: str = sealed()
    form_ids: list[str] | None = document(default=None)
    dry_run: bool
    requested_by: str
    job_id: str
    created_at: datetime = moment()
    ended_at: datetime | None = moment(default=None)
    step: str
    position: list[str] = document(default_factory=list)
    forms: dict[str, int] = document(default_factory=dict)
    places: dict[str, int] = document(default_factory=dict)
    kept: dict[str, Any] = document(default_factory=dict)
    last_message: int | None = Field(default=None, sa_type=BigInteger)
    signature: str = ""
    public_key: str = ""


class PersonTrace(SQLModel, table=True):
    """A response or a file of the person whom an erasure has found; gone from its own table with `erased`."""

    __tablename__ = "person_trace"
    __table_args__ = (
        belongs_to("person_erasure", "erasure_id"),
        Index("ix_person_trace_form", "tenant_id", "erasure_id", "kind", "erased", "form_id", "entity_id"),
    )

    tenant_id: str = key()
    erasure_id: str = key()
    entity_id: str = key()
    kind: str
    form_id: str
    erased: bool = False
