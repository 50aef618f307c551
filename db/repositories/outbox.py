"""The event table as the relay sees it: what is still to be published, over all tenants."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import Event

EventKey = tuple[str, str]
"""Tenant and event id."""

_UNPUBLISHED = col(Event.published_at).is_(None)
_MARK = (
    update(Event)
    .where(col(Event.tenant_id) == bindparam("tenant"), col(Event.id) == bindparam("event"))
    .values(published_at=bindparam("at"))
    .execution_options(synchronize_session=False)
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


class OutboxRepository:
    """Unpublished events of every tenant; for unscoped units."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def unpublished(self, limit: int) -> list[Unpublished]:
        """The oldest unpublished events by id. Not by a cursor: ids become visible out of order."""
        rows = await self._session.execute(
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
            .limit(limit)
        )
        return [Unpublished(*row) for row in rows]

    async def mark_published(self, keys: Iterable[EventKey], at: datetime) -> None:
        """Take the events out of the outbox; they stay in the log."""
        parameters = [{"tenant": tenant_id, "event": event_id, "at": at} for tenant_id, event_id in keys]
        if parameters:
            await (await self._session.connection()).execute(_MARK, parameters)

    async def oldest_unpublished_at(self) -> datetime | None:
        """When the event that waits longest occurred."""
        statement = select(col(Event.occurred_at)).where(_UNPUBLISHED).order_by(col(Event.id)).limit(1)
        return await self._session.scalar(statement)


class EventLogRepository:
    """The events of one tenant, as they were recorded."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def envelope(self, event_id: str) -> str | None:
        """The stored text of an event, None when there is no such event."""
        return await self._session.scalar(
            select(col(Event.envelope)).where(col(Event.tenant_id) == self._tenant_id, col(Event.id) == event_id)
        )
