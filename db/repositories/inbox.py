"""What a consumer has made of its events: done, to be tried again, given up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import DeadLetter, FailedEvent
from db.repositories.upsert import upsert
from db.types import Texts, UTCDateTime

# Made once: every consumer uses them for every batch or every second, and to make them costs more than to run them.
_EACH = {
    "sqlite": "SELECT value AS id FROM json_each(:ids)",
    "postgresql": "SELECT unnest(CAST(:ids AS text[])) AS id",
}
_CLAIM = """
INSERT INTO processed_event (tenant_id, consumer, event_id, generation, processed_at)
SELECT :tenant, :consumer, id, :generation, :at FROM ({each}) AS wanted WHERE true
ON CONFLICT DO NOTHING RETURNING event_id"""
_WAITING = """
SELECT DISTINCT entity_id FROM failed_event
WHERE tenant_id = :tenant AND consumer = :consumer AND entity_id IN ({each})"""
_IDS, _AT = bindparam("ids", type_=Texts()), bindparam("at", type_=UTCDateTime())
_CLAIMS = {name: text(_CLAIM.format(each=each)).bindparams(_IDS, _AT) for name, each in _EACH.items()}
_WAITINGS = {name: text(_WAITING.format(each=each)).bindparams(_IDS) for name, each in _EACH.items()}
_DUE = text(
    "SELECT tenant_id, event_id FROM failed_event AS due WHERE consumer = :consumer AND next_attempt_at <= :now "
    "AND NOT EXISTS (SELECT 1 FROM failed_event AS earlier WHERE earlier.tenant_id = due.tenant_id "
    "AND earlier.consumer = due.consumer AND earlier.entity_id = due.entity_id AND earlier.event_id < due.event_id) "
    "ORDER BY next_attempt_at LIMIT :limit"
).bindparams(bindparam("now", type_=UTCDateTime()))


class InboxRepository:
    """The inbox of one consumer for one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str, consumer: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._consumer = consumer
        self._mine: dict[str, object] = {"tenant": tenant_id, "consumer": consumer}
        self._dialect = session.get_bind().dialect.name

    @property
    def _failed_here(self) -> tuple[ColumnElement[bool], ...]:
        return col(FailedEvent.tenant_id) == self._tenant_id, col(FailedEvent.consumer) == self._consumer

    async def claim(self, event_ids: Sequence[str], at: datetime, generation: str = "") -> set[str]:
        """Enter the events into the inbox; those that were not in it yet. Their effects belong in this transaction.

        A transaction that claims the same event at the same time waits for this one. Another `generation` is another
        turn, which is claimed apart.
        """
        if not event_ids:
            return set()
        values = self._mine | {"ids": list(event_ids), "generation": generation, "at": at}
        return set(await self._session.scalars(_CLAIMS[self._dialect], values))

    async def waiting_entities(self, entity_ids: Iterable[str]) -> set[str]:
        """Those entities that have a failed event waiting."""
        values = self._mine | {"ids": list(set(entity_ids))}
        return set(await self._session.scalars(_WAITINGS[self._dialect], values))

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
        values = {"consumer": self._consumer, "now": now, "limit": limit}
        return [Due(*row) for row in await self._session.execute(_DUE, values)]
