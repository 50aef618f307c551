"""The log of a tenant's events: looking them up, and following them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import Event, EventCounter

# Ids begin with the time at which they were made, a moment before that of the event.
_SLACK: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events; None means any. `until` is exclusive; `forms` are those of which something may be seen."""

    types: Collection[str] | None = None
    forms: Collection[str] | None = None
    entity_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class EventHistoryRepository:
    """The events of one tenant, as they were recorded: each row is its id and the exact text."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def page(self, query: EventQuery, before_id: str | None, limit: int) -> Sequence[tuple[str, str]]:
        """Id and text of up to `limit` events, newest first, older than the event `before_id`."""
        statement = select(col(Event.id), col(Event.envelope)).where(*self._conditions(query))
        if query.entity_id is not None:
            statement = statement.where(col(Event.entity_id) == query.entity_id)
        if query.since is not None:
            statement = statement.where(col(Event.occurred_at) >= query.since)
            statement = statement.where(col(Event.id) >= _id_at(query.since - _SLACK))
        if query.until is not None:
            statement = statement.where(col(Event.occurred_at) < query.until)
            statement = statement.where(col(Event.id) < _id_at(query.until + _SLACK))
        if before_id is not None:
            statement = statement.where(col(Event.id) < before_id)
        statement = statement.order_by(col(Event.id).desc()).limit(limit)
        return [(row.id, row.envelope) for row in await self._session.execute(statement)]

    async def last_place(self) -> int:
        """The place of the latest published event, 0 before the first."""
        statement = select(col(EventCounter.last)).where(col(EventCounter.tenant_id) == self._tenant_id)
        return await self._session.scalar(statement) or 0

    async def place_of(self, event_id: str) -> int | None:
        """The place of a published event, None when there is no such event."""
        return await self._session.scalar(
            select(col(Event.sequence)).where(col(Event.tenant_id) == self._tenant_id, col(Event.id) == event_id)
        )

    async def following(self, query: EventQuery, after: int, until: int, limit: int) -> Sequence[tuple[int, str]]:
        """Place and text of up to `limit` events by their places, those after `after` and not after `until`."""
        statement = (
            select(col(Event.sequence), col(Event.envelope))
            .where(*self._conditions(query), col(Event.sequence) > after, col(Event.sequence) <= until)
            .order_by(col(Event.sequence))
            .limit(limit)
        )
        return [(place, text) for place, text in await self._session.execute(statement) if place is not None]

    def _conditions(self, query: EventQuery) -> list[ColumnElement[bool]]:
        conditions = [col(Event.tenant_id) == self._tenant_id]
        if query.types is not None:
            conditions.append(col(Event.type).in_(sorted(query.types)))
        if query.forms is not None:
            conditions.append(col(Event.form_id).in_(sorted(query.forms)))
        return conditions


def _id_at(moment: datetime) -> str:
    """What every id of an event from then on is not less than."""
    return f"evt_{max(0, int(moment.timestamp() * 1000)):012x}"
