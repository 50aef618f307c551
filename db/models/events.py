"""The log of facts, and what each consumer has made of it."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from db.models.columns import key, moment

_UNPUBLISHED = text("published_at IS NULL")


class Event(SQLModel, table=True):
    """A fact, written in the transaction of its change. `envelope` is the exact text that goes on the wire."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_unpublished", "id", sqlite_where=_UNPUBLISHED, postgresql_where=_UNPUBLISHED),
        Index("ix_event_form", "tenant_id", "form_id", "id"),
    )

    tenant_id: str = key()
    id: str = key()
    type: str
    entity_id: str
    form_id: str | None = None
    envelope: str
    occurred_at: datetime = moment()
    published_at: datetime | None = moment(default=None)


class ProcessedEvent(SQLModel, table=True):
    """The inbox: what a consumer is done with. Written in the transaction of the effect, so that happens once."""

    __tablename__ = "processed_event"
    __table_args__ = (Index("ix_processed_event_at", "processed_at"),)

    tenant_id: str = key()
    consumer: str = key()
    event_id: str = key()
    processed_at: datetime = moment()


class FailedEvent(SQLModel, table=True):
    """An event that a consumer could not process yet, or that waits behind one of the same entity (attempts 0)."""

    __tablename__ = "failed_event"
    __table_args__ = (
        Index("ix_failed_event_due", "consumer", "next_attempt_at"),
        Index("ix_failed_event_entity", "tenant_id", "consumer", "entity_id", "event_id"),
    )

    tenant_id: str = key()
    consumer: str = key()
    event_id: str = key()
    entity_id: str
    attempts: int
    error: str
    next_attempt_at: datetime = moment()


class DeadLetter(SQLModel, table=True):
    """An event that a consumer gave up on, with the reason and the payload as it was."""

    __tablename__ = "dead_letter"
    __table_args__ = (Index("uq_dead_letter_event", "tenant_id", "consumer", "event_id", unique=True),)

    tenant_id: str = key()
    id: str = key()
    consumer: str
    event_id: str
    event_type: str
    reason: str
    attempts: int
    envelope: str
    created_at: datetime = moment()


class Lease(SQLModel, table=True):
    """Who leads a duty that one process should do at a time; an optimisation, never a lock (two must be harmless)."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    expires_at: datetime = moment()
