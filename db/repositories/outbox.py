"""The event table as the relay sees it: what is still to be published, over all tenants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import Event

EventKey = tuple[str, str]
"""Tenant and event id."""

_UNPUBLISHED = col(Event.published_at).is_(None)
_NEXT = (
    select(
        col(Event.tenant_id),
        col(Event.id),
        col(Event.type),
        col(Event.entity_id),
        col(Event.envelope),
        col(Event.occurred_at),
    )
    .where(_UNPUBLISHED)
    .order_by(col(Event.id))
)
_MARK = (
    update(Event)
    .where(col(Event.tenant_id) == bindparam("tenant"), col(Event.id) == bindparam("event"))
    .values(published_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Unpublished:
    """An event row that is not in the stream yet."""

    tenant_id: str
    id: str
    type: str
    entity_id: str
    envelope: str
    occurred_at: datetime

    @property
    def key(self) -> EventKey:
        return self.tenant_id, self.id


def unpublished(connection: Connection, limit: int) -> list[Unpublished]:
    """The oldest unpublished events of every tenant by id. Not by a cursor: ids become visible out of order."""
    return [Unpublished(*row) for row in connection.execute(_NEXT.limit(limit))]


def mark_published(connection: Connection, keys: Sequence[EventKey], at: datetime) -> None:
    """Take the events out of the outbox; they stay in the log."""
    if keys:
        connection.execute(_MARK, [{"tenant": tenant_id, "event": event_id, "at": at} for tenant_id, event_id in keys])


def oldest_unpublished_at(connection: Connection) -> datetime | None:
    """When the event that waits longest occurred."""
    return connection.scalar(select(col(Event.occurred_at)).where(_UNPUBLISHED).order_by(col(Event.id)).limit(1))


class EventLogRepository:
    """The events of one tenant, as they were recorded."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def has_unpublished(self) -> bool:
        """Whether an event is not in the stream yet."""
        statement = select(exists().where(col(Event.tenant_id) == self._tenant_id, _UNPUBLISHED))
        return bool(await self._session.scalar(statement))

    async def envelope(self, event_id: str) -> str | None:
        """The stored text of an event, None when there is no such event."""
        return await self._session.scalar(
            select(col(Event.envelope)).where(col(Event.tenant_id) == self._tenant_id, col(Event.id) == event_id)
        )
