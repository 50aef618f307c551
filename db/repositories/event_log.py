"""The event table as the source of what is told again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import Event

# An id is made in the moment of the event, but by another reading of the clock.
_SLACK: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Told:
    """Which events; what is None does not matter. `before` is exclusive, and so is `after_id`."""

    types: tuple[str, ...] | None = None
    form_id: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    after_id: str = ""


class RecordedEvents:
    """The log of one tenant, oldest first."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._mine = col(Event.tenant_id) == tenant_id

    async def count(self, told: Told) -> int:
        statement = select(func.count()).select_from(Event).where(self._mine, *_chosen(told))
        return await self._session.scalar(statement) or 0

    async def page(self, told: Told, after_id: str, limit: int) -> Sequence[Event]:
        """Events by id after `after_id`."""
        statement = select(Event).where(self._mine, *_chosen(told), col(Event.id) > after_id)
        return (await self._session.scalars(statement.order_by(col(Event.id)).limit(limit))).all()

    async def find(self, event_id: str) -> Event | None:
        return await self._session.scalar(select(Event).where(self._mine, col(Event.id) == event_id))

    async def has_happened(self, event_type: str, entity_id: str) -> bool:
        """Whether there is an event of this type about the entity."""
        statement = select(col(Event.id)).where(
            self._mine, col(Event.entity_id) == entity_id, col(Event.type) == event_type
        )
        return await self._session.scalar(statement.limit(1)) is not None

    async def publish_again(self, event_id: str) -> bool:
        """Put the event back into the outbox; whether it is there."""
        statement = update(Event).where(self._mine, col(Event.id) == event_id).values(published_at=None)
        return (await self._session.execute(statement.returning(col(Event.id)))).first() is not None


def _chosen(told: Told) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    if told.types is not None:
        chosen.append(col(Event.type).in_(told.types))
    if told.form_id is not None:
        chosen.append(col(Event.form_id) == told.form_id)
    if told.since is not None:
        # The key begins with the time, so that what is older need not be looked at.
        chosen += [col(Event.occurred_at) >= told.since, col(Event.id) >= id_at(told.since - _SLACK)]
    if told.before is not None:
        chosen.append(col(Event.occurred_at) < told.before)
    if told.after_id:
        chosen.append(col(Event.id) > told.after_id)
    return chosen


def id_at(moment: datetime) -> str:
    """An id (UUIDv7, RFC 9562) that is not above any that was made at the moment or later."""
    return f"evt_{max(0, int(moment.timestamp() * 1000)):012x}"
