"""The log of facts, and what each consumer has made of it."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from db.models.columns import document, key, moment

_UNPUBLISHED = text("published_at IS NULL")


class Event(SQLModel, table=True):
    """A fact, written in the transaction of its change. `envelope` is the exact text that goes on the wire.

    `sequence` is its place among the tenant's published events, given when it is marked as published: places become
    visible in their order, which ids do not.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_unpublished", "tenant_id", "id", sqlite_where=_UNPUBLISHED, postgresql_where=_UNPUBLISHED),
        Index("ix_event_form", "tenant_id", "form_id", "id"),
        Index("ix_event_type", "tenant_id", "type", "id"),
        Index("ix_event_entity", "tenant_id", "entity_id", "id"),
        Index("ix_event_sequence", "tenant_id", "sequence"),
    )

    tenant_id: str = key()
    id: str = key()
    type: str
    entity_id: str
    form_id: str | None = None
    envelope: str
    occurred_at: datetime = moment()
    published_at: datetime | None = moment(default=None)
    sequence: int | None = Field(default=None, sa_type=BigInteger)


class EventCounter(SQLModel, table=True):
    """The last `sequence` that a tenant's published events have got. Who holds the row gives the next ones."""

    __tablename__ = "event_counter"

    tenant_id: str = key()
    last: int = Field(sa_type=BigInteger)


class ProcessedEvent(SQLModel, table=True):
    """The inbox: what a consumer is done with. Written in the transaction of the effect, so that happens once.

    `generation` is empty for the event as it came; else the id of the redrive or the replay that gave the consumer
    another turn at it, which happens once too.
    """

    __tablename__ = "processed_event"
    __table_args__ = (Index("ix_processed_event_at", "processed_at"),)

    tenant_id: str = key()
    consumer: str = key()
    event_id: str = key()
    generation: str = key(default="", sa_column_kwargs={"server_default": ""})
    processed_at: datetime = moment()


class FailedEvent(SQLModel, table=True):
    """An event that waits for its consumer: it failed, or waits behind one of the same entity, or gets another turn
    (both attempts 0; the `generation` is that of the turn).

    An attempt is counted before it begins, so that one that ends the process counts too.
    """

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
    generation: str = Field(default="", sa_column_kwargs={"server_default": ""})


class DeadLetter(SQLModel, table=True):
    """An event that a consumer gave up on, with the reason and the payload as it was."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("uq_dead_letter_event", "tenant_id", "consumer", "event_id", unique=True),
        Index("ix_dead_letter_created", "created_at"),
    )

    tenant_id: str = key()
    id: str = key()
    consumer: str
    event_id: str
    event_type: str
    reason: str
    attempts: int
    envelope: str
    created_at: datetime = moment()


class StreamState(SQLModel, table=True):
    """What is known of a JetStream stream, to notice that it is not the one that was published to.

    `created_at` tells one stream from another of the same name, `last_seq` is the highest sequence that was
    acknowledged. Of what was published before `needed_since` every consumer has acknowledged everything.
    """

    __tablename__ = "stream_state"

    name: str = Field(primary_key=True)
    created_at: datetime = moment()
    last_seq: int = Field(sa_type=BigInteger)
    needed_since: datetime = moment()


class ComponentState(SQLModel, table=True):
    """How a part of the platform was when it was last looked at, for readiness and metrics."""

    __tablename__ = "component_state"

    name: str = Field(primary_key=True)
    healthy: bool
    detail: str
    figures: dict[str, float] = document()
    checked_at: datetime = moment()


class Lease(SQLModel, table=True):
    """Who leads a duty that one process should do at a time; an optimisation, never a lock (two must be harmless)."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    expires_at: datetime = moment()
