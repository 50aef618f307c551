"""What a consumer has made of its events: done, to be tried again, given up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from db.models.events import DeadLetter, FailedEvent, ProcessedEvent
from db.repositories.upsert import upsert


class InboxRepository:
    """The inbox of one consumer for one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str, consumer: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._consumer = consumer
        self._failed_here = (
            col(FailedEvent.tenant_id) == tenant_id,
            col(FailedEvent.consumer) == consumer,
        )

    async def claim(self, event_ids: Sequence[str], at: datetime, generation: str = "") -> set[str]:
        """Enter the events into the inbox; those that were not in it yet. Their effects belong in this transaction.

        A transaction that claims the same event at the same time waits for this one. Another `generation` is another
        turn, which is claimed apart.
        """
        mine = {"tenant_id": self._tenant_id, "consumer": self._consumer}
        rows = [{**mine, "event_id": id_, "generation": generation, "processed_at": at} for id_ in event_ids]
        if not rows:
            return set()
        statement = upsert(self._session, ProcessedEvent).on_conflict_do_nothing()
        claimed = await self._session.execute(statement.returning(col(ProcessedEvent.event_id)), rows)
        return set(claimed.scalars())

    async def waiting_entities(self, entity_ids: Iterable[str]) -> set[str]:
        """Those entities that have a failed event waiting."""
        statement = select(col(FailedEvent.entity_id)).where(
            *self._failed_here, col(FailedEvent.entity_id).in_(set(entity_ids))
        )
        return set(await self._session.scalars(statement))

    async def park(
        self,
        event_id: str,
        entity_id: str,
        *,
        attempts: int,
        error: str,
        next_attempt_at: datetime,
        generation: str = "",
    ) -> bool:
        """Keep the event for a later attempt; False when it waits already: then it keeps its count and its time."""
        row = {
            "tenant_id": self._tenant_id,
            "consumer": self._consumer,
            "event_id": event_id,
            "entity_id": entity_id,
            "attempts": attempts,
            "error": error,
            "next_attempt_at": next_attempt_at,
            "generation": generation,
        }
        statement = upsert(self._session, FailedEvent).values(row).on_conflict_do_nothing()
        return (await self._session.execute(statement.returning(col(FailedEvent.event_id)))).first() is not None

    async def lock_failed(self, event_id: str) -> FailedEvent | None:
        """The failed event, locked until the end of the transaction; None when it is gone or another tries it."""
        statement = (
            select(FailedEvent)
            .where(*self._failed_here, col(FailedEvent.event_id) == event_id)
            .with_for_update(skip_locked=True)
        )
        return await self._session.scalar(statement)

    async def fail_again(self, event_id: str, attempts: int, error: str, next_attempt_at: datetime) -> None:
        """Note how many attempts there were, what became of the last one and when the next one is."""
        await self._session.execute(
            update(FailedEvent)
            .where(*self._failed_here, col(FailedEvent.event_id) == event_id)
            .values(attempts=attempts, error=error, next_attempt_at=next_attempt_at)
        )

    async def remove_failed(self, event_id: str) -> None:
        """The event does not wait any more."""
        await self._session.execute(
            delete(FailedEvent).where(*self._failed_here, col(FailedEvent.event_id) == event_id)
        )

    async def bury(self, letter: DeadLetter) -> None:
        """Keep an event that the consumer gave up on; once per consumer and event."""
        row = {name: getattr(letter, name) for name in DeadLetter.model_fields}
        statement = upsert(self._session, DeadLetter).values(row)
        await self._session.execute(
            statement.on_conflict_do_nothing(index_elements=["tenant_id", "consumer", "event_id"])
        )


@dataclass(frozen=True, slots=True)
class Due:
    """A failed event whose time has come."""

    tenant_id: str
    event_id: str


class FailedEventsRepository:
    """Failed events of one consumer over all tenants; for unscoped units."""

    def __init__(self, session: AsyncSession, consumer: str) -> None:
        self._session = session
        self._consumer = consumer

    async def due(self, now: datetime, limit: int) -> list[Due]:
        """Failed events to try now, those due longest first. Only the oldest of an entity, so that order is kept."""
        earlier = aliased(FailedEvent)
        statement = (
            select(col(FailedEvent.tenant_id), col(FailedEvent.event_id))
            .where(
                col(FailedEvent.consumer) == self._consumer,
                col(FailedEvent.next_attempt_at) <= now,
                ~exists().where(
                    earlier.tenant_id == FailedEvent.tenant_id,  # type: ignore[arg-type]
                    earlier.consumer == FailedEvent.consumer,  # type: ignore[arg-type]
                    earlier.entity_id == FailedEvent.entity_id,  # type: ignore[arg-type]
                    earlier.event_id < FailedEvent.event_id,  # type: ignore[arg-type]
                ),
            )
            .order_by(col(FailedEvent.next_attempt_at))
            .limit(limit)
        )
        return [Due(*row) for row in await self._session.execute(statement)]
