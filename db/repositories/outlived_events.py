"""Forgetting events and what was made of them, when nobody can ask for them any more: needs an unscoped unit."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import DeadLetter, Event, FailedEvent, ProcessedEvent
from db.repositories.event_log import id_at

# An id is made in the moment of the event, but by another reading of the clock.
_SLACK: Final = timedelta(minutes=1)


class OutlivedEvents:
    """What has outlived its use, of all tenants. Each method removes up to `limit` rows."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def remove_processed_in_any_tenant(self, before: datetime, limit: int) -> int:
        """Inbox rows from before a moment, of events that were published before it too; how many.

        An event that is in the outbox again, or was published again since, may be delivered again.
        """
        around = exists().where(
            col(Event.tenant_id) == col(ProcessedEvent.tenant_id),
            col(Event.id) == col(ProcessedEvent.event_id),
            col(Event.published_at).is_(None) | (col(Event.published_at) >= before),
        )
        key = (
            col(ProcessedEvent.tenant_id),
            col(ProcessedEvent.consumer),
            col(ProcessedEvent.event_id),
            col(ProcessedEvent.generation),
        )
        old = (
            select(*key)
            .where(col(ProcessedEvent.processed_at) < before, ~around)
            .order_by(col(ProcessedEvent.processed_at))
            .limit(limit)
        )
        return await self._remove(delete(ProcessedEvent).where(tuple_(*key).in_(old)))

    async def remove_letters_in_any_tenant(self, before: datetime, limit: int) -> int:
        """Dead letters from before a moment; how many."""
        key = tuple_(col(DeadLetter.tenant_id), col(DeadLetter.id))
        old = (
            select(col(DeadLetter.tenant_id), col(DeadLetter.id))
            .where(col(DeadLetter.created_at) < before)
            .order_by(col(DeadLetter.created_at))
            .limit(limit)
        )
        return await self._remove(delete(DeadLetter).where(key.in_(old)))

    async def next_tenant(self, after: str) -> str | None:
        """The next tenant with events, by id."""
        return await self._session.scalar(select(func.min(col(Event.tenant_id))).where(col(Event.tenant_id) > after))

    async def remove_events(
        self, tenant_id: str, after_id: str, before: datetime, limit: int
    ) -> tuple[int, str | None]:
        """Look at up to `limit` events of a tenant that were made before a moment, after `after_id`, and remove those
        that were published before it and that nobody waits for; how many, and the id of the last one that was looked
        at, None when there are no more. A dead letter keeps its event, which a redrive needs."""
        mine = col(Event.tenant_id) == tenant_id
        looked_at = (
            await self._session.scalars(
                select(col(Event.id))
                .where(mine, col(Event.id) > after_id, col(Event.id) < id_at(before - _SLACK))
                .order_by(col(Event.id))
                .limit(limit)
            )
        ).all()
        if not looked_at:
            return 0, None
        needed = [
            exists().where(col(kind.tenant_id) == tenant_id, col(kind.event_id) == col(Event.id))
            for kind in (FailedEvent, DeadLetter)
        ]
        statement = delete(Event).where(
            mine, col(Event.id).in_(looked_at), col(Event.published_at) < before, *(~each for each in needed)
        )
        removed = await self._remove(statement)
        return removed, looked_at[-1] if len(looked_at) == limit else None

    async def _remove(self, statement: Any) -> int:
        result: Any = await self._session.execute(statement, execution_options={"synchronize_session": False})
        return int(result.rowcount)
